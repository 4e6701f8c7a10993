//! Pure translation between client dialects, the chat hub and model surfaces.
