//! The caches.
