"""`nightscribe bench`: every figure of the README, measured again on this machine."""
