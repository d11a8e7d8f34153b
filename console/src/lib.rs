//! The console: see every instance, call any method, read every log, without leaving the keyboard.
