"""How fast Eventuali is, beside its peers and beside what bounds it: `make bench`."""
