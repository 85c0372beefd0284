//! How the values of a tensor are stored: every type that GGUF and safetensors files name.

use std::fmt;

/// One line per type: name, id in GGUF if it has one, values in a block, bytes of a block.
macro_rules! tensor_types {
    ($($(#[$doc:meta])* $name:ident $text:literal $id:expr, $len:literal, $bytes:literal;)*) => {
        /// How the values of a tensor are stored.
        ///
        /// Names, ids and block sizes are those of ggml; the types without an id occur in
        /// safetensors only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[expect(non_camel_case_types, reason = "the names are the field's, underscores included")]
        pub enum TensorType {
            $($(#[$doc])* $name,)*
        }

        impl TensorType {
            /// Every type.
            pub const ALL: &'static [TensorType] = &[$(TensorType::$name,)*];

            const fn spec(self) -> Spec {
                match self {
                    $(TensorType::$name => {
                        Spec { name: $text, id: $id, block_len: $len, block_bytes: $bytes }
                    })*
                }
            }
        }
    };
}

struct Spec {
    name: &'static str,
    id: Option<u32>,
    block_len: usize,
    block_bytes: usize,
}

tensor_types! {
    /// IEEE single precision.
    F32 "F32" Some(0), 1, 4;
    /// IEEE half precision.
    F16 "F16" Some(1), 1, 2;
    /// The upper half of a single.
    BF16 "BF16" Some(30), 1, 2;
    /// IEEE double precision.
    F64 "F64" Some(28), 1, 8;
    /// 4 bits, f16 scale.
    Q4_0 "Q4_0" Some(2), 32, 18;
    /// 4 bits, f16 scale and minimum.
    Q4_1 "Q4_1" Some(3), 32, 20;
    /// 5 bits, f16 scale.
    Q5_0 "Q5_0" Some(6), 32, 22;
    /// 5 bits, f16 scale and minimum.
    Q5_1 "Q5_1" Some(7), 32, 24;
    /// 8 bits, f16 scale.
    Q8_0 "Q8_0" Some(8), 32, 34;
    /// 8 bits, f16 scale and sum: activations, not weights.
    Q8_1 "Q8_1" Some(9), 32, 36;
    /// 2 bits, 4-bit scale and minimum per 16.
    Q2_K "Q2_K" Some(10), 256, 84;
    /// 3 bits, 6-bit scale per 16.
    Q3_K "Q3_K" Some(11), 256, 110;
    /// 4 bits, 6-bit scale and minimum per 32.
    Q4_K "Q4_K" Some(12), 256, 144;
    /// 5 bits, 6-bit scale and minimum per 32.
    Q5_K "Q5_K" Some(13), 256, 176;
    /// 6 bits, 8-bit scale per 16.
    Q6_K "Q6_K" Some(14), 256, 210;
    /// 8 bits, f32 scale, sums per 16: activations, not weights.
    Q8_K "Q8_K" Some(15), 256, 292;
    /// Codebook of 8, 2.06 bits a weight.
    IQ2_XXS "IQ2_XXS" Some(16), 256, 66;
    /// Codebook of 8, 2.31 bits a weight.
    IQ2_XS "IQ2_XS" Some(17), 256, 74;
    /// Codebook of 8, 2.56 bits a weight.
    IQ2_S "IQ2_S" Some(22), 256, 82;
    /// Codebook of 4, 3.06 bits a weight.
    IQ3_XXS "IQ3_XXS" Some(18), 256, 98;
    /// Codebook of 4, 3.44 bits a weight.
    IQ3_S "IQ3_S" Some(21), 256, 110;
    /// Codebook of 8, 1.56 bits a weight.
    IQ1_S "IQ1_S" Some(19), 256, 50;
    /// Codebook of 8, 1.75 bits a weight.
    IQ1_M "IQ1_M" Some(29), 256, 56;
    /// 4 bits into a non-linear table, f16 scale.
    IQ4_NL "IQ4_NL" Some(20), 32, 18;
    /// 4 bits into a non-linear table, 6-bit scale per 32.
    IQ4_XS "IQ4_XS" Some(23), 256, 136;
    /// Ternary, 1.69 bits a weight.
    TQ1_0 "TQ1_0" Some(34), 256, 54;
    /// Ternary, 2.06 bits a weight.
    TQ2_0 "TQ2_0" Some(35), 256, 66;
    /// FP4 E2M1, E8M0 scale (OCP microscaling).
    MXFP4 "MXFP4" Some(39), 32, 17;
    /// FP4 E2M1, E4M3 scale per 16.
    NVFP4 "NVFP4" Some(40), 64, 36;
    /// 1 bit, f16 scale.
    Q1_0 "Q1_0" Some(41), 128, 18;
    /// 2 bits, f16 scale.
    Q2_0 "Q2_0" Some(42), 64, 18;
    /// Signed 8-bit integer.
    I8 "I8" Some(24), 1, 1;
    /// Signed 16-bit integer.
    I16 "I16" Some(25), 1, 2;
    /// Signed 32-bit integer.
    I32 "I32" Some(26), 1, 4;
    /// Signed 64-bit integer.
    I64 "I64" Some(27), 1, 8;
    /// Unsigned 8-bit integer.
    U8 "U8" None, 1, 1;
    /// Unsigned 16-bit integer.
    U16 "U16" None, 1, 2;
    /// Unsigned 32-bit integer.
    U32 "U32" None, 1, 4;
    /// Unsigned 64-bit integer.
    U64 "U64" None, 1, 8;
    /// One byte, 0 or 1.
    Bool "BOOL" None, 1, 1;
    /// FP8 with 4 exponent bits.
    F8_E4M3 "F8_E4M3" None, 1, 1;
    /// FP8 with 5 exponent bits.
    F8_E5M2 "F8_E5M2" None, 1, 1;
}

impl TensorType {
    /// The name as files and tools write it, in capitals.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The id in a GGUF file; `None` for the types that only safetensors has.
    pub const fn id(self) -> Option<u32> {
        self.spec().id
    }

    /// Values in one block: 1 for plain numbers.
    pub const fn block_len(self) -> usize {
        self.spec().block_len
    }

    /// Bytes of one block.
    pub const fn block_bytes(self) -> usize {
        self.spec().block_bytes
    }

    /// The type with this id in a GGUF file.
    pub fn from_id(id: u32) -> Option<TensorType> {
        TensorType::ALL.iter().copied().find(|ty| ty.id() == Some(id))
    }

    /// The type with this name, in capitals: `Q4_K`.
    pub fn from_name(name: &str) -> Option<TensorType> {
        TensorType::ALL.iter().copied().find(|ty| ty.name() == name)
    }

    /// Bytes of a row of `n` values; `None` when `n` is not a whole number of blocks or the
    /// product does not fit.
    pub const fn row_bytes(self, n: usize) -> Option<usize> {
        if n.is_multiple_of(self.block_len()) {
            (n / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
