//! The log's file (`-wal`) as a file: what is done to it before SQLite looks at
//! what is in it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What the log's file is grown to: rewriting a file in place syncs in a tenth
/// of the time that growing it does.
const LOG_BYTES: u64 = 8 * 1024 * 1024;
const PIECE: usize = 1024 * 1024;
/// Of the whole log (<https://sqlite.org/fileformat2.html#walformat>).
const HEADER: usize = 32;

/// Writes what an earlier run left in the log once more, in place, and syncs it.
///
/// After a sync that failed, the kernel takes pages for written that are in
/// memory only: they can be read, and no later sync writes them. SQLite would
/// find transactions there, and put acknowledged ones behind them; a power cut
/// would then leave a hole, at which the log ends. Written again, they count as
/// not yet synced. After an end in order there is no log.
pub(super) fn write_again(path: &Path) -> io::Result<()> {
    let log = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    loop {
        match log.read_at(&mut piece, at)? {
            0 => break,
            read => {
                log.write_all_at(&piece[..read], at)?;
                at += read as u64;
            }
        }
    }
    log.sync_data()
}

/// Overwrites a log of which all is in the database, its header first: a log with
/// another beginning is none, and one with a header of which only a part is left
/// would be taken for the end of the database's history.
pub(super) fn blank(path: &Path) -> io::Result<()> {
    let log = OpenOptions::new().write(true).open(path)?;
    let (length, zeros) = (log.metadata()?.len(), vec![0; PIECE]);
    let piece = |at: u64| &zeros[..PIECE.min(usize::try_from(length - at).unwrap_or(PIECE))];
    log.write_all_at(&zeros[..HEADER], 0)?;
    log.sync_data()?;
    let mut at = 0;
    while at < length {
        log.write_all_at(piece(at), at)?;
        at += PIECE as u64;
    }
    if length > LOG_BYTES {
        log.set_len(LOG_BYTES)?;
    }
    log.sync_data()
}

/// Lengthens the log's file with zeros. To SQLite they are frames with a wrong
/// checksum, which it takes as the log's end, after a crash too.
pub(super) fn grow(path: &Path) -> io::Result<()> {
    let mut log = OpenOptions::new().append(true).open(path)?;
    let length = log.metadata()?.len();
    // In whole and really written: space that is only promised is as slow.
    if let Some(missing) = LOG_BYTES.checked_sub(length) {
        io::copy(&mut io::Read::take(io::repeat(0), missing), &mut log)?;
        log.flush()?;
        log.sync_data()?;
    }
    Ok(())
}
