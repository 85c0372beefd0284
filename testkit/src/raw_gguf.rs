//! GGUF files byte by byte, so that they can lie: written without any check and without the
//! crate under test.

/// A GGUF file under construction. Counts are those of what was added unless told otherwise.
#[derive(Clone, Debug)]
pub struct RawGguf {
    version: u32,
    keys: u64,
    tensors: u64,
    alignment: usize,
    pairs: Vec<u8>,
    list: Vec<u8>,
    data: Vec<u8>,
}

impl Default for RawGguf {
    fn default() -> Self {
        let (pairs, list, data) = Default::default();
        RawGguf { version: 3, keys: 0, tensors: 0, alignment: 32, pairs, list, data }
    }
}

impl RawGguf {
    /// Another version than 3.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// A count of keys that may lie.
    pub fn key_count(mut self, keys: u64) -> Self {
        self.keys = keys;
        self
    }

    /// A count of tensors that may lie.
    pub fn tensor_count(mut self, tensors: u64) -> Self {
        self.tensors = tensors;
        self
    }

    /// Where the data begins: at a multiple of this. Writes no key.
    pub fn alignment(mut self, alignment: usize) -> Self {
        self.alignment = alignment;
        self
    }

    /// A key with the bytes of its value.
    pub fn pair(mut self, key: &str, ty: u32, value: &[u8]) -> Self {
        self.keys += 1;
        self.pairs.extend(string(key.as_bytes()));
        self.pairs.extend(ty.to_le_bytes());
        self.pairs.extend(value);
        self
    }

    /// An entry of the tensor list; the contiguous length first, as in the file.
    pub fn tensor(mut self, name: &str, lengths: &[u64], ty: u32, offset: u64) -> Self {
        self.tensors += 1;
        self.list.extend(string(name.as_bytes()));
        self.list.extend((lengths.len() as u32).to_le_bytes());
        self.list.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
        self.list.extend(ty.to_le_bytes());
        self.list.extend(offset.to_le_bytes());
        self
    }

    /// The data section.
    pub fn data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend(self.tensors.to_le_bytes());
        file.extend(self.keys.to_le_bytes());
        file.extend(&self.pairs);
        file.extend(&self.list);
        if !self.data.is_empty() {
            file.resize(file.len().next_multiple_of(self.alignment), 0);
            file.extend(&self.data);
        }
        file
    }
}

/// A string's bytes: 64-bit length, text.
pub fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

/// An array's bytes: type of the elements, count that may lie, elements.
pub fn array(ty: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&ty.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}
