SELECT max(id) FROM kinds
