//! The storage formats of weights.

/// How the values of a weight row are stored. Names are those of the GGUF specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(non_camel_case_types, reason = "the names are the field's, underscores included")]
pub enum Format {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a single.
    BF16,
    /// 32 values: 4 bits, f16 scale.
    Q4_0,
    /// 32 values: 4 bits, f16 scale and minimum.
    Q4_1,
    /// 32 values: 5 bits, f16 scale.
    Q5_0,
    /// 32 values: 5 bits, f16 scale and minimum.
    Q5_1,
    /// 32 values: 8 bits, f16 scale.
    Q8_0,
    /// 256 values: 2 bits, 4-bit scale and minimum per 16.
    Q2_K,
    /// 256 values: 3 bits, 6-bit scale per 16.
    Q3_K,
    /// 256 values: 4 bits, 6-bit scale and minimum per 32.
    Q4_K,
    /// 256 values: 5 bits, 6-bit scale and minimum per 32.
    Q5_K,
    /// 256 values: 6 bits, 8-bit scale per 16.
    Q6_K,
    /// 256 values: codebook of 8, 1.56 bits a weight.
    IQ1_S,
    /// 256 values: codebook of 8, 1.75 bits a weight.
    IQ1_M,
    /// 256 values: codebook of 8, 2.06 bits a weight.
    IQ2_XXS,
    /// 256 values: codebook of 8, 2.31 bits a weight.
    IQ2_XS,
    /// 256 values: codebook of 8, 2.56 bits a weight.
    IQ2_S,
    /// 256 values: codebook of 4, 3.06 bits a weight.
    IQ3_XXS,
    /// 256 values: codebook of 4, 3.44 bits a weight.
    IQ3_S,
    /// 32 values: 4 bits into a non-linear table, f16 scale.
    IQ4_NL,
    /// 256 values: 4 bits into a non-linear table, 6-bit scale per 32.
    IQ4_XS,
    /// 256 ternary values: 1.69 bits a weight.
    TQ1_0,
    /// 256 ternary values: 2.06 bits a weight.
    TQ2_0,
    /// 32 values: FP4 E2M1, E8M0 scale (OCP microscaling).
    MXFP4,
    /// 64 values: FP4 E2M1, E4M3 scale per 16.
    NVFP4,
    /// 128 values: a sign each, f16 scale.
    Q1_0,
    /// 64 values: 2 bits, f16 scale.
    Q2_0,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 28] = [
        Format::F32,
        Format::F16,
        Format::BF16,
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q8_0,
        Format::Q2_K,
        Format::Q3_K,
        Format::Q4_K,
        Format::Q5_K,
        Format::Q6_K,
        Format::IQ1_S,
        Format::IQ1_M,
        Format::IQ2_XXS,
        Format::IQ2_XS,
        Format::IQ2_S,
        Format::IQ3_XXS,
        Format::IQ3_S,
        Format::IQ4_NL,
        Format::IQ4_XS,
        Format::TQ1_0,
        Format::TQ2_0,
        Format::MXFP4,
        Format::NVFP4,
        Format::Q1_0,
        Format::Q2_0,
    ];

    /// Values in one block: 1 for the float formats.
    pub const fn block_len(self) -> usize {
        match self {
            Format::F32 | Format::F16 | Format::BF16 => 1,
            Format::Q4_0
            | Format::Q4_1
            | Format::Q5_0
            | Format::Q5_1
            | Format::Q8_0
            | Format::IQ4_NL
            | Format::MXFP4 => 32,
            Format::NVFP4 | Format::Q2_0 => 64,
            Format::Q1_0 => 128,
            _ => 256,
        }
    }

    /// Bytes of one block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Format::F32 => 4,
            Format::F16 | Format::BF16 => 2,
            Format::Q4_0 | Format::IQ4_NL | Format::Q1_0 | Format::Q2_0 => 18,
            Format::Q4_1 => 20,
            Format::Q5_0 => 22,
            Format::Q5_1 => 24,
            Format::Q8_0 => 34,
            Format::Q2_K => 84,
            Format::Q3_K | Format::IQ3_S => 110,
            Format::Q4_K => 144,
            Format::Q5_K => 176,
            Format::Q6_K => 210,
            Format::IQ1_S => 50,
            Format::IQ1_M => 56,
            Format::IQ2_XXS | Format::TQ2_0 => 66,
            Format::IQ2_XS => 74,
            Format::IQ2_S => 82,
            Format::IQ3_XXS => 98,
            Format::IQ4_XS => 136,
            Format::TQ1_0 => 54,
            Format::MXFP4 => 17,
            Format::NVFP4 => 36,
        }
    }

    /// Bytes of a row of `n` values; `None` when `n` is not a whole number of blocks.
    pub const fn row_bytes(self, n: usize) -> Option<usize> {
        if n.is_multiple_of(self.block_len()) {
            (n / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }

    /// Whether products with this format take int8 activations ([`crate::QuantizedRows`]); the
    /// float formats take `f32`.
    pub const fn is_quantized(self) -> bool {
        self.block_len() > 1
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}
