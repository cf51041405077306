"""Programs that scenarios start, watch and kill."""
