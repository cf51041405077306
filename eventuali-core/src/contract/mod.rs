//! The contract of the port, as tests: one a clause, the same for every backend.
