/*
 * A worker in a hidden frame. The theme searches in a worker, and browsers refuse workers to a page that was
 * opened from the file system.
 */
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.answer = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.loaded = new Promise((resolve) => (this.frame.loaded = resolve));
      document.body.append(this.frame);
      const inside = this.frame.contentWindow.document;
      inside.open();
      inside.write(
        "<script>postMessage = (data) => frameElement.answer(data)</script>" +
          `<script src="${new URL(url, location)}"></script>` +
          "<script>frameElement.loaded()</script>",
      );
      inside.close();
    }

    async postMessage(data) {
      await this.loaded;
      this.frame.contentWindow.dispatchEvent(
        new MessageEvent("message", { data: structuredClone(data) }),
      );
    }

    terminate() {
      this.frame.remove();
    }
  };
  window.Worker = window.IFrameWorker;
}
