//! A program's output, bounded: of a step the beginning and the end are kept, of a service the
//! latest. Secrets are masked before a byte is kept.

use crate::run_dir::{OutputRule, RunDir};
use lockstep_model::wire::OUTPUT_BYTES_MAX;
use lockstep_secrets::{Mask, Stream};
use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

/// What is kept of the end once the beginning is full.
const TAIL_BYTES: usize = 1 << 20;
/// What is kept of the beginning.
const HEAD_BYTES: u64 = OUTPUT_BYTES_MAX - TAIL_BYTES as u64;
/// A service's file is put aside at this size; the one put aside before is dropped.
const ROTATE_BYTES: u64 = 10 << 20;

/// Where output goes.
pub(super) struct Output {
    path: PathBuf,
    /// Made with the first output; many a command says nothing.
    file: Option<File>,
    written_bytes: u64,
    rule: OutputRule,
    /// None = there is nothing to mask.
    masked: Option<Stream>,
    tail: VecDeque<u8>,
    dropped_bytes: u64,
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Output {
    pub(super) fn new(dir: &RunDir, rule: OutputRule, mask: &Mask) -> Self {
        let path = dir.output_path();
        let masked = (!mask.is_empty()).then(|| mask.stream());
        Self { path, file: None, written_bytes: 0, rule, masked, tail: VecDeque::new(), dropped_bytes: 0 }
    }

    /// Copies what is there. False when the other side is closed. Output that cannot be written
    /// (a full disk) is counted as dropped: it must never stop the program.
    pub(super) fn copy(&mut self, mut reader: &io::PipeReader) -> bool {
        let mut buffer = [0; 64 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => match self.masked.as_mut().map(|stream| stream.feed(&buffer[..count])) {
                    Some(masked) => self.keep(&masked),
                    None => self.keep(&buffer[..count]),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        match self.rule {
            OutputRule::Rotate => {
                if self.written_bytes >= ROTATE_BYTES
                    && fs::rename(&self.path, self.path.with_extension("1.log")).is_ok()
                {
                    self.file = None;
                    self.written_bytes = 0;
                }
                self.write(bytes);
            }
            OutputRule::HeadAndTail => {
                let room = HEAD_BYTES.saturating_sub(self.written_bytes);
                let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
                let (head, rest) = if self.tail.is_empty() { bytes.split_at(room) } else { (&[][..], bytes) };
                self.write(head);
                self.tail.extend(rest);
                while self.tail.len() > TAIL_BYTES {
                    let over = self.tail.len() - TAIL_BYTES;
                    self.tail.drain(..over);
                    self.dropped_bytes += over as u64;
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        match self.try_write(bytes) {
            Ok(()) => self.written_bytes += bytes.len() as u64,
            Err(_) => self.dropped_bytes += bytes.len() as u64,
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        file.write_all(bytes)
    }

    /// Writes the end, and how much is missing before it.
    pub(super) fn finish(&mut self) {
        if let Some(masked) = self.masked.as_mut().map(Stream::finish) {
            self.keep(&masked);
        }
        if self.dropped_bytes > 0 {
            let note = format!("\n… {} bytes were dropped here …\n", self.dropped_bytes);
            let _ = self.try_write(note.as_bytes());
        }
        let tail: Vec<u8> = std::mem::take(&mut self.tail).into();
        let _ = self.try_write(&tail);
    }
}
