"""A whole archive in slices that any number of machines share.

plan     the work of a scan, cut into slices of equal hours of media
state    what the lake keeps of it: the plan, and which slices are done
drive    hand slices to a fleet, watch them, hand dead ones out again
report   what came of it, counted in the lake
"""
