//! Who is alive: an instance registry over HTTP.
