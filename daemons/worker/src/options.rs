//! The program that is run, how many of it, and within which limits.

use std::fmt;
use std::time::Duration;

/// A program and its arguments.
///
/// ```
/// use rpc_worker::Program;
///
/// let program = Program::parse("python3 'my methods.py' --fast")?;
/// assert_eq!(program.words(), ["python3", "my methods.py", "--fast"]);
/// # Ok::<_, rpc_worker::ProgramError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    text: String,
    words: Vec<String>,
    hidden_variables: Vec<String>,
}

/// Why a text names no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It has no words.
    #[error("it names no program")]
    Empty,
    /// A quote is open at the end.
    #[error("a quote is not closed")]
    OpenQuote,
}

impl Program {
    /// Splits a text into words as a shell does (quotes and backslashes), without running one: nothing
    /// is expanded, and there are no pipes or redirections.
    ///
    /// # Errors
    /// It has no words, or a quote that is not closed.
    pub fn parse(text: &str) -> Result<Self, ProgramError> {
        let words = shlex::split(text).ok_or(ProgramError::OpenQuote)?;
        if words.first().is_none_or(String::is_empty) {
            return Err(ProgramError::Empty);
        }
        Ok(Self { text: text.trim().to_owned(), words, hidden_variables: Vec::new() })
    }

    /// Hides an environment variable from the program, such as one with a secret. It gets all others.
    #[must_use]
    pub fn hide_variable(mut self, name: impl Into<String>) -> Self {
        self.hidden_variables.push(name.into());
        self
    }

    pub(crate) fn hidden_variables(&self) -> &[String] {
        &self.hidden_variables
    }

    /// The program and its arguments.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

rpc_server::__limits! {
    /// Limits of workers.
    ///
    /// ```
    /// use rpc_worker::WorkerLimits;
    ///
    /// let limits = WorkerLimits::default().workers(4).concurrency(8);
    /// assert_eq!(limits.workers, 4);
    /// ```
    WorkerLimits {
        /// Processes of the program. Default 1.
        workers: usize = 1;
        /// Calls in flight of each process. Default 1: a program that reads a line and writes a line needs
        /// to know no more.
        concurrency: usize = 1;
        /// Calls that wait for a process. Default 1,000. Over it: -32002.
        max_queued_calls: usize = 1000;
        /// Bytes of one line of a process's standard output. Default 4 MiB. Over it, its call fails; unless
        /// it begins with the id of one, the process is restarted.
        max_line_bytes: usize = 4 << 20;
        /// Time from the start of a process to its list of methods. Default 5 s. Over it, it is killed.
        start_timeout: Duration = Duration::from_secs(5);
        /// Time in which a process ends a call that was cancelled or whose deadline passed. Default 1 s.
        /// Over it another call has its place, and a process of which as many calls as it may have are
        /// overdue, and that says nothing for as long, is restarted.
        cancel_timeout: Duration = Duration::from_secs(1);
        /// How long cancelled calls may take all places of a process that still writes, such as items of
        /// a cancelled stream. Default 5 s, at least `cancel_timeout`. Over it, it is restarted.
        linger_timeout: Duration = Duration::from_secs(5);
        /// How long the caller of a stream may read nothing while its process waits to write. Default
        /// 10 s. Over it the stream ends with -32006.
        stall_timeout: Duration = Duration::from_secs(10);
        /// Time for the calls in flight of a process that is replaced. Default 8 s. Over it they fail.
        drain_timeout: Duration = Duration::from_secs(8);
        /// Time for a process to end by itself once its standard input is closed, and again once it got
        /// SIGTERM. Default 1 s. Over it: SIGTERM, then SIGKILL to its process group.
        exit_timeout: Duration = Duration::from_secs(1);
        /// A process that ends earlier than this after it listed its methods died at once. Default 1 s.
        settled_after: Duration = Duration::from_secs(1);
        /// Deaths at once, in a row, after which no further process is started. Default 5.
        max_deaths: usize = 5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_split_like_a_shell_does_it_without_one() {
        let words = |text: &str| Program::parse(text).map(|program| program.words);
        let are = |words: &[&str]| Ok(words.iter().map(|&word| word.to_owned()).collect());
        assert_eq!(words("python3 methods.py"), are(&["python3", "methods.py"]));
        assert_eq!(words(r#"a 'b c' "d \" e" f\ g"#), are(&["a", "b c", "d \" e", "f g"]));
        assert_eq!(words("sh -c 'echo $HOME | cat'"), are(&["sh", "-c", "echo $HOME | cat"]));
        assert_eq!(words("a $HOME *.py | b"), are(&["a", "$HOME", "*.py", "|", "b"]));
        assert_eq!(words("  "), Err(ProgramError::Empty));
        assert_eq!(words("''"), Err(ProgramError::Empty));
        assert_eq!(words("a 'b"), Err(ProgramError::OpenQuote));
    }

    #[test]
    fn any_text_is_a_program_or_is_refused() {
        rpc_fuzz::text("worker_command", |text| {
            if let Ok(program) = Program::parse(text) {
                assert!(!program.words()[0].is_empty());
                let quoted = shlex::try_join(program.words().iter().map(String::as_str));
                if let Ok(quoted) = quoted {
                    assert_eq!(Program::parse(&quoted).unwrap().words(), program.words());
                }
            }
        });
    }
}
