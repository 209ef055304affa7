//! Capture against a real server.
