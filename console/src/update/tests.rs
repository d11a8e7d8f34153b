//! Placeholder until the table of cases is written below.
