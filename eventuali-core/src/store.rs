//! The store as users open it: a URL becomes a backend, within one tenant.
