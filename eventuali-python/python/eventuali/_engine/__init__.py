"""What is done with the extension: operations, how they are driven, and what they send and read."""
