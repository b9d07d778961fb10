//! What is lost all the same, if the one who loses it was away.
