//! What is there: mapped, proved to be this model's, given to the products.

use std::fmt::Debug;
use std::sync::Arc;

use rushlight_host::Mapping;
use rushlight_kernels::PANEL_LAYOUT;

use super::header::{Entry, PreparedHeader};
use super::{Prepared, make};
use crate::tensor::Bytes;
use crate::{Error, ErrorKind, shares};

impl Prepared<'_> {
    /// Maps the file and gives its panels to the products. `false` if there is no file.
    ///
    /// # Errors
    /// [`ErrorKind::Prepared`] if the file is damaged or another model's: it may be removed and made
    /// again. [`ErrorKind::Read`] if it cannot be mapped, or others can write it.
    pub fn attach(&self) -> Result<bool, Error> {
        let Some(mapping) = self.open()? else { return Ok(false) };
        let mapping = Arc::new(mapping);
        for (source, offset) in self.sources.iter().zip(&self.offsets) {
            source.attach(Bytes::mapped(&mapping, *offset..*offset + source.packed_bytes()));
        }
        Ok(true)
    }

    /// Makes all panels again, on all processors, and compares them with those of the file. `false`
    /// if there is no file.
    ///
    /// # Errors
    /// As [`Prepared::attach`], and [`ErrorKind::Prepared`] at the first panel that differs.
    pub fn compare(&self) -> Result<bool, Error> {
        let Some(mapping) = self.open()? else { return Ok(false) };
        let chunks = make::chunks(self);
        shares::each(shares::all_processors(), chunks, |memory: &mut Vec<u8>, chunk| {
            let packed = chunk.pack(memory);
            if mapping.get(chunk.at..chunk.at + packed.len()) == Some(packed) {
                return Ok(());
            }
            let (name, first) = (chunk.source.name(), chunk.first);
            let what = format!("panels of `{name}` from `{first}` on are not those of the model");
            Err(self.error(ErrorKind::Prepared, what))
        })?;
        Ok(true)
    }

    /// The file, proved to have this model's tensors where they are expected.
    fn open(&self) -> Result<Option<Mapping>, Error> {
        if !self.path.exists() {
            return Ok(None);
        }
        let mapping = Mapping::open_guarded(self.path).map_err(|e| {
            self.error(ErrorKind::Read, "the prepared weights cannot be read").because(e)
        })?;
        self.check(&mapping).map_err(|e| e.at(self.path))?;
        if mapping.is_private() {
            let what = "prepared weights that others can write are not used";
            return Err(self.error(ErrorKind::Read, what).with_hint("remove the file"));
        }
        Ok(Some(mapping))
    }

    fn check(&self, file: &[u8]) -> Result<(), Error> {
        let header = PreparedHeader::parse(file)?;
        let differs = |what: &str, found: &dyn Debug, expected: &dyn Debug| {
            let what = format!("prepared weights: {what} {found:?}, expected {expected:?}");
            Err(Error::new(ErrorKind::Prepared, what))
        };
        if header.layout != PANEL_LAYOUT {
            return differs("layout", &header.layout, &PANEL_LAYOUT);
        }
        if header.source != self.source {
            return differs("model", &header.source, &self.source);
        }
        if header.entries.len() != self.sources.len() {
            return differs("tensors", &header.entries.len(), &self.sources.len());
        }
        for ((found, source), offset) in header.entries.iter().zip(self.sources).zip(&self.offsets)
        {
            let expected = Entry::of(source, *offset);
            if *found != expected {
                return differs("tensor", found, &expected);
            }
        }
        Ok(())
    }
}
