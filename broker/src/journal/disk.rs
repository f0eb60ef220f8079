//! The edge to the file system: what the journal asks of its file, and the file itself.
//! Tests put a failing disk in its place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(super) trait JournalFile: Send + 'static {
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Puts a new, flushed file with these contents in the old one's place. After an error the old
    /// one stands.
    fn replace(&mut self, contents: &[u8]) -> io::Result<()>;
    /// Makes `replace` survive a power cut.
    fn sync_folder(&mut self) -> io::Result<()>;
    /// Keeps a copy of a damaged file for whoever wants to look into it.
    fn keep_damaged(&mut self, contents: &[u8]) -> io::Result<PathBuf>;
}

pub(super) struct DiskFile {
    path: PathBuf,
    file: File,
}

impl DiskFile {
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<u8>)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        sync_folder_of(path)?;
        let contents = fs::read(path)?;
        Ok((
            Self {
                path: path.to_path_buf(),
                file,
            },
            contents,
        ))
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    }
}

impl JournalFile for DiskFile {
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, position)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn replace(&mut self, contents: &[u8]) -> io::Result<()> {
        let fresh_path = self.beside(".new");
        let written = write_fresh(&fresh_path, contents);
        let renamed = written.and_then(|fresh| {
            fs::rename(&fresh_path, &self.path)?;
            Ok(fresh)
        });
        match renamed {
            Ok(fresh) => {
                self.file = fresh;
                Ok(())
            }
            Err(error) => {
                if let Err(leftover) = fs::remove_file(&fresh_path) {
                    tracing::debug!(error = %leftover, "an unfinished journal stays until the next rewrite");
                }
                Err(error)
            }
        }
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        sync_folder_of(&self.path)
    }

    fn keep_damaged(&mut self, contents: &[u8]) -> io::Result<PathBuf> {
        let path = self.beside(".damaged");
        write_fresh(&path, contents)?;
        Ok(path)
    }
}

fn write_fresh(path: &Path, contents: &[u8]) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all_at(contents, 0)?;
    file.sync_all()?;
    Ok(file)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
