"""`nightscribe bench`: every figure of docs/figures.md, measured again on this machine."""
