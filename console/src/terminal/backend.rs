//! The backend of ratatui: one write per frame inside a synchronized update, and none when nothing
//! changed.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

const SYNCHRONIZED_BEGIN: &[u8] = b"\x1b[?2026h";
const SYNCHRONIZED_END: &[u8] = b"\x1b[?2026l";

/// Buffers a frame and writes it to `W` at once.
#[derive(Debug)]
pub struct ScreenBackend<W: Write> {
    inner: CrosstermBackend<FrameBuffer>,
    buffer: FrameBuffer,
    out: W,
    /// Where the cursor is wanted; `None` hides it.
    wanted: Option<Position>,
    /// Where the terminal shows it.
    shown: Option<Position>,
    position: Position,
}

impl<W: Write> ScreenBackend<W> {
    /// A backend that writes to `out`.
    pub fn new(out: W) -> Self {
        let buffer = FrameBuffer::default();
        Self {
            inner: CrosstermBackend::new(buffer.clone()),
            buffer,
            out,
            wanted: None,
            shown: None,
            position: Position::ORIGIN,
        }
    }

    /// Forgets what the terminal shows, after another program wrote to it.
    pub fn forget(&mut self) {
        self.shown = None;
        self.buffer.0.borrow_mut().extend_from_slice(b"\x1b[?25l");
    }
}

impl<W: Write> Backend for ScreenBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        // The inner backend resets the style after every frame, drawn or not.
        let mut content = content.peekable();
        if content.peek().is_none() { Ok(()) } else { self.inner.draw(content) }
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.wanted = None;
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.wanted = Some(self.position);
        Ok(())
    }

    /// Does not query the terminal: the reader of keys would consume the reply.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.position)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.position = position.into();
        if self.wanted.is_some() {
            self.wanted = Some(self.position);
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.inner.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut frame = std::mem::take(&mut *self.buffer.0.borrow_mut());
        if frame.is_empty() && self.wanted == self.shown {
            return Ok(());
        }
        match self.wanted {
            Some(Position { x, y }) => {
                write!(frame, "\x1b[{};{}H\x1b[?25h", u32::from(y) + 1, u32::from(x) + 1)?;
            }
            None if self.shown.is_some() => frame.extend_from_slice(b"\x1b[?25l"),
            None => {}
        }
        self.shown = self.wanted;
        let mut whole = Vec::with_capacity(frame.len() + 32);
        whole.extend_from_slice(SYNCHRONIZED_BEGIN);
        whole.extend_from_slice(&frame);
        whole.extend_from_slice(SYNCHRONIZED_END);
        self.out.write_all(&whole)?;
        self.out.flush()
    }
}

/// A buffer with two owners on one thread: the inner backend writes it, the outer one flushes it.
#[derive(Debug, Clone, Default)]
struct FrameBuffer(Rc<RefCell<Vec<u8>>>);

impl Write for FrameBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::{Terminal, TerminalOptions, Viewport};

    fn terminal(out: FrameBuffer) -> Terminal<ScreenBackend<FrameBuffer>> {
        let viewport = Viewport::Fixed(Rect::new(0, 0, 20, 3));
        Terminal::with_options(ScreenBackend::new(out), TerminalOptions { viewport }).unwrap()
    }

    #[test]
    fn an_unchanged_frame_writes_nothing() {
        let out = FrameBuffer::default();
        let mut terminal = terminal(out.clone());
        let mut draw = |text: &str, cursor: Option<u16>| {
            terminal
                .draw(|frame| {
                    frame.render_widget(text, frame.area());
                    if let Some(x) = cursor {
                        frame.set_cursor_position((x, 1));
                    }
                })
                .unwrap();
            std::mem::take(&mut *out.0.borrow_mut())
        };
        let first = draw("hello", None);
        assert!(first.starts_with(SYNCHRONIZED_BEGIN) && first.ends_with(SYNCHRONIZED_END));
        assert!(draw("hello", None).is_empty());
        let text = String::from_utf8(draw("hello", Some(3))).unwrap();
        assert!(text.contains("\x1b[2;4H\x1b[?25h"), "{text:?}");
        assert!(draw("hello", Some(3)).is_empty());
        assert!(!draw("hello", None).is_empty());
        assert!(!draw("hellO", None).is_empty());
    }
}
