//! DataFusion over caches and sources.
