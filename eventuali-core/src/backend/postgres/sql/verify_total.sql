SELECT
    (SELECT count(*) FROM {streams}) + (SELECT count(*) FROM {runs}) + (SELECT count(*) FROM {kind_spans})
    + (SELECT count(*) FROM {tags}) + (SELECT count(*) FROM {records}) + (SELECT count(*) FROM {record_index})
