//! The operators that ONNX defines, and the domains that ONNX Runtime brings.

use super::{Facts, Operator};

/// Domains whose operators ONNX Runtime has, besides ONNX's own.
const RUNTIME_DOMAINS: [&str; 4] = [
    "ai.onnx.ml",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
];

/// The last operator set that [`STANDARD`] covers. Of a later one nothing is known here, so that
/// its operators are left to ONNX Runtime.
const COVERED_OPSET: i64 = 28;

/// ONNX's operators, sorted.
const STANDARD: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "AffineGrid",
    "And",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "Bernoulli",
    "BitCast",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "BlackmanWindow",
    "Cast",
    "CastLike",
    "CausalConvWithState",
    "Ceil",
    "Celu",
    "CenterCropPad",
    "Clip",
    "Col2Im",
    "Compress",
    "Concat",
    "ConcatFromSequence",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvInteger",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "CumProd",
    "CumSum",
    "DFT",
    "DeformConv",
    "DepthToSpace",
    "DequantizeLinear",
    "Det",
    "Div",
    "Dropout",
    "DynamicQuantizeLinear",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "EyeLike",
    "Flatten",
    "Floor",
    "GRU",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GridSample",
    "GroupNormalization",
    "HammingWindow",
    "HannWindow",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "If",
    "ImageDecoder",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LRN",
    "LSTM",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "LinearAttention",
    "Log",
    "LogSoftmax",
    "Loop",
    "LpNormalization",
    "LpPool",
    "MatMul",
    "MatMulInteger",
    "Max",
    "MaxPool",
    "MaxRoiPool",
    "MaxUnpool",
    "Mean",
    "MeanVarianceNormalization",
    "MelWeightMatrix",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Multinomial",
    "Neg",
    "NegativeLogLikelihoodLoss",
    "NonMaxSuppression",
    "NonZero",
    "Not",
    "OneHot",
    "Optional",
    "OptionalGetElement",
    "OptionalHasElement",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "RMSNormalization",
    "RNN",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "RegexFullMatch",
    "Relu",
    "Reshape",
    "Resize",
    "ReverseSequence",
    "RoiAlign",
    "RotaryEmbedding",
    "Round",
    "STFT",
    "Scan",
    "Scatter",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceErase",
    "SequenceInsert",
    "SequenceLength",
    "SequenceMap",
    "Shape",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Size",
    "Slice",
    "Softmax",
    "SoftmaxCrossEntropyLoss",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "SplitToSequence",
    "Sqrt",
    "Squeeze",
    "StringConcat",
    "StringNormalizer",
    "StringSplit",
    "Sub",
    "Sum",
    "SwiGLU",
    "Swish",
    "Tan",
    "Tanh",
    "TensorScatter",
    "TfIdfVectorizer",
    "ThresholdedRelu",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unique",
    "Unsqueeze",
    "Upsample",
    "Where",
    "Xor",
];

/// Operators of ONNX's early days that ONNX Runtime still runs.
const EARLY: [&str; 12] = [
    "Affine",
    "ConstantFill",
    "Crop",
    "DynamicSlice",
    "GRUUnit",
    "GivenTensorFill",
    "ImageScaler",
    "ParametricSoftplus",
    "Scale",
    "ScaledTanh",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
];

/// The operators that neither ONNX, ONNX Runtime nor the file itself defines, as they are printed.
pub(super) fn custom(facts: &Facts) -> Vec<String> {
    let is_covered = facts.opset().is_none_or(|version| version <= COVERED_OPSET);
    let is_custom = |operator: &Operator| {
        if facts.functions.contains(operator) {
            return false;
        }
        if operator.is_standard() {
            let name = operator.name.as_str();
            return is_covered && STANDARD.binary_search(&name).is_err() && !EARLY.contains(&name);
        }
        !RUNTIME_DOMAINS.contains(&operator.domain.as_str())
    };
    let operators = facts.operators.iter();
    operators
        .filter(|(operator, _count)| is_custom(operator))
        .map(|(operator, count)| format!("{operator} ({count}x)"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Opset;

    fn facts(operators: &[(&str, &str)], opset: i64) -> Facts {
        let operators = operators.iter().map(|&(domain, name)| {
            let operator = Operator {
                domain: domain.to_owned(),
                name: name.to_owned(),
            };
            (operator, 2)
        });
        Facts {
            operators: operators.collect(),
            opsets: vec![Opset {
                domain: String::new(),
                version: opset,
            }],
            ..Facts::default()
        }
    }

    #[test]
    fn the_list_can_be_searched() {
        assert!(STANDARD.is_sorted());
        assert!(EARLY.is_sorted());
    }

    #[test]
    fn onnx_and_its_runtime_bring_their_own() {
        let known = [
            ("", "Conv"),
            ("ai.onnx", "NonMaxSuppression"),
            ("", "ImageScaler"),
            ("ai.onnx.ml", "TreeEnsembleClassifier"),
            ("com.microsoft", "FusedConv"),
        ];
        assert_eq!(custom(&facts(&known, 17)), Vec::<String>::new());
    }

    #[test]
    fn plug_ins_are_named_with_their_domain() {
        let plug_ins = [("", "EfficientNMS_TRT"), ("mmdeploy", "MMCVRoiAlign")];
        let expected = ["EfficientNMS_TRT (2x)", "mmdeploy::MMCVRoiAlign (2x)"];
        assert_eq!(custom(&facts(&plug_ins, 17)), expected);
    }

    #[test]
    fn operators_of_a_later_set_are_left_to_the_runtime() {
        assert_eq!(custom(&facts(&[("", "Foresee")], 29)), Vec::<String>::new());
        assert_eq!(custom(&facts(&[("", "Foresee")], 28)).len(), 1);
    }

    #[test]
    fn operators_that_the_file_defines_are_no_plug_ins() {
        let mut own = facts(&[("pkg.torch", "aten_where")], 18);
        own.functions.extend(own.operators.keys().cloned());
        assert_eq!(custom(&own), Vec::<String>::new());
    }
}
