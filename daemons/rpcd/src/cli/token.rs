//! `rpcd token`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const TOKEN: &str = "\
Examples:
  rpcd token new --name ci --roles call
  rpcd token new --name shop --roles register,observe --services orders --hosts 10.1.0.0/16
  rpcd token list tokens
  rpcd token check tokens < secret
  rpcd token check tokens --certificate orders.pem

A file of tokens ([security] tokens) has a line for each, with the SHA-256 of a secret. The secret is what a \
program shows: in RPCD_TOKEN, or in a file that [client] token_file or [registry] token_file names. For who shows \
a certificate it has NAME ROLES certificate:SAN, such as certificate:rpcd://service/orders.";

/// Make and look at tokens.
#[derive(Debug, Clone, Args)]
pub struct Token {
    /// What to do.
    #[command(subcommand)]
    pub action: TokenAction,
}

/// What to do with tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenAction {
    /// Make a secret: printed once, with its line for the file of tokens
    New(NewToken),
    /// List whose tokens a file has, and the certificates with roles
    List {
        /// The file of tokens
        file: PathBuf,
        /// Print JSON, one object per line
        #[arg(long)]
        json: bool,
    },
    /// Say whose the secret is that RPCD_TOKEN or standard input has, or a certificate
    Check {
        /// The file of tokens
        file: PathBuf,
        /// A certificate, a PEM file; whether it is valid is not looked at
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
        /// The daemon's settings [default: those that are found from here]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A token to make.
#[derive(Debug, Clone, Args)]
pub struct NewToken {
    /// Whose it is: letters, digits, - _ . @
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// What it allows: call, observe, register, operate, comma-separated
    #[arg(long, value_name = "ROLES")]
    pub roles: String,
    /// Until when: 2027-01-31, or 2027-01-31T12:00:00Z [default: for ever]
    #[arg(long, value_name = "DATE")]
    pub expires: Option<String>,
    /// With these services only, comma-separated [default: any]
    #[arg(long, value_name = "NAMES")]
    pub services: Option<String>,
    /// With instances in these networks only: 10.1.0.0/16, … [default: any]
    #[arg(long, value_name = "CIDR")]
    pub hosts: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
