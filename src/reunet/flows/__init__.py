"""One file per verb: the same name on the command line (`reunet train`) and in Python (`reunet.train`).

A flow wires rooms together and returns a frozen result; it prints nothing. Nothing is re-exported here,
so that importing one flow never imports another: the public names live in `reunet` itself.
"""
