"""Tokenizers that scripts/prove-tokenizers makes: every way to prepare and cut a text that is read.

Usage: made.py DIRECTORY     (writes the small ones that the tests of the gateway have, with their counts)

SentencePiece's own trainer makes its models, from the texts of the repository; the rest are real tokenizers
with one thing changed, which need not be useful, only counted alike.
"""

import base64
import copy
import io
import json
import sys
import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Tokenizer

MARK = "\u2581"
NORMAL, ASKED, UNUSED = 1, 4, 5


def edges():
    """Texts that SentencePiece and its kin are easily wrong about, by name."""
    texts = [
        " ", "   ", "\n", MARK, f"{MARK}{MARK}a{MARK} ", " a", "a ", "  a  b  ", "a\u0001\u0000b", "<s>", "</s> hi <unk>",
        "<0x0A>", "a<0x41>b", "\u3000x\u3000", "\uff71\uff8a\uff9f\uff70\uff84", "x\u200by", "\ufeffa", "\u2460\u2461",
        "\ufdfa", "Ｈｅｌｌｏ　ｗｏｒｌｄ", "\U0010ffff", "\u0378", "\t\t", "\r\n", "I\u0307", "\u01c5", "\u1112\u1161\u11ab",
        "a\u0300\u0301\u0302", "\u2026", "\u00a0\u00a0a", "(,)", "<unused5>", "<start_of_turn>user\nhi<end_of_turn>",
        "[INST] x [/INST]", "<image_soft_token>", "\n\n\n\n", "a\n\n b", "<table><td>", "[REF]x[/REF]", "[REFERENCE_DOC_1",
        "\u0085", "\u001c\u001d", "<sep>a b<sep>", "a  b a b abab", "e\u0301\u0301 \u0915\u094d\u0937\u093f \u1103\u1166",
        "hello world, this is a long text. " * 4_000, "x" + " " * 20_000, "\u6570" * 9_000 + "\U0001f9ff" * 500,
    ]
    return {f"edge {number}": text for number, text in enumerate(texts)}


def lines(texts):
    """What models are trained from."""
    told = [text for name, text in texts.items() if not name.startswith(("random", "edge"))]
    found = [line for text in told for line in text.splitlines() if 0 < len(line) < 2_000]
    return found * 3


def models(texts):
    """Models of SentencePiece, as names and bytes."""
    trained = lines(texts)

    def train(kind, size, **settings):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(trained), model_writer=model, model_type=kind, vocab_size=size,
            hard_vocab_limit=False, minloglevel=2, num_threads=2, **settings)
        return model.getvalue()

    def changed(model, change):
        read = proto.ModelProto.FromString(model)
        change(read)
        return read.SerializeToString()

    def unused(read):
        for number, piece in enumerate(read.pieces):
            if piece.type == NORMAL and number % 3 == 0 and len(piece.piece) > 1:
                piece.type = UNUSED

    def asked(read):
        for number, piece in enumerate(read.pieces):
            if piece.type == NORMAL and number % 7 == 0 and len(piece.piece) > 1:
                piece.type, piece.score = ASKED, 0

    def normalizer(**settings):
        def change(read):
            for name, value in settings.items():
                setattr(read.normalizer_spec, name, value)
        return change

    symbols = {"user_defined_symbols": ["<sep>", "a b", "abab"], "control_symbols": ["<cls>"]}
    whole = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    bpe = train("bpe", 2_000, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True, **whole)
    plain = train("bpe", 1_500, normalization_rule_name="nmt_nfkc_cf", character_coverage=0.98, **symbols)
    yield "bpe", bpe
    yield "bpe plain", plain
    yield "bpe unused", changed(bpe, unused)
    yield "bpe unused plain", changed(plain, unused)
    yield "bpe asked", changed(bpe, asked)
    yield "bpe suffix", train("bpe", 1_500, treat_whitespace_as_suffix=True)
    yield "bpe as it is", changed(bpe, normalizer(add_dummy_prefix=False, escape_whitespaces=False))
    yield "bpe trimmed", changed(bpe, normalizer(remove_extra_whitespaces=True))
    unigram = train("unigram", 2_000)
    yield "unigram", unigram
    yield "unigram bytes", train("unigram", 2_000, byte_fallback=True, allow_whitespace_only_pieces=True, **whole)
    yield "unigram nfkc", train("unigram", 1_500, normalization_rule_name="nfkc", character_coverage=0.98, **symbols)
    yield "unigram suffix", train("unigram", 1_500, treat_whitespace_as_suffix=True, normalization_rule_name="nfkc_cf")
    yield "unigram unused", changed(unigram, unused)
    yield "unigram asked", changed(unigram, asked)
    yield "unigram as it is", changed(unigram, normalizer(add_dummy_prefix=False, remove_extra_whitespaces=False))
    yield "unigram no escape", changed(unigram, normalizer(escape_whitespaces=False))


def as_json(model, pre_tokenizer, normalizers, byte_fallback=False, added=()):
    """A Unigram model of SentencePiece as a tokenizer.json."""
    read = proto.ModelProto.FromString(model)
    unknown = [piece.type for piece in read.pieces].index(2)
    steps = [{"type": "Precompiled", "precompiled_charsmap": base64.b64encode(
        read.normalizer_spec.precompiled_charsmap).decode()}]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": number, "content": text, "single_word": False, "lstrip": number % 2 == 0, "rstrip": number % 3 == 0,
             "normalized": number % 2 == 1, "special": True} for number, text in enumerate(added)],
        "normalizer": {"type": "Sequence", "normalizers": steps + list(normalizers)},
        "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None,
        "model": {"type": "Unigram", "unk_id": unknown, "byte_fallback": byte_fallback,
                  "vocab": [[piece.piece, piece.score] for piece in read.pieces]},
    }


def documents(bpe, unigram):
    """Variants of the tokenizer.json `bpe` and of the model `unigram`, as names and documents."""
    def metaspace(scheme, split):
        return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split}

    def split(pattern, behavior, invert=False):
        return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}

    def steps(*steps):
        return {"type": "Sequence", "pretokenizers": list(steps)}

    def replace(pattern, content):
        return {"type": "Replace", "pattern": pattern, "content": content}

    def of(normalizer, pre_tokenizer, **model):
        document = copy.deepcopy(bpe)
        document["normalizer"], document["pre_tokenizer"] = normalizer, pre_tokenizer
        document["model"].update(model)
        return document

    prepared = bpe["normalizer"]
    for scheme in ["first", "always", "never"]:
        for cut in [True, False]:
            yield f"metaspace {scheme} {cut}", of(None, metaspace(scheme, cut))
    yield "metaspace of old", of(None, {"type": "Metaspace", "replacement": "_", "str_rep": "_", "add_prefix_space": True})
    for behavior in ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        for invert in [False, True]:
            yield f"split {behavior} {invert}", of(prepared, split({"Regex": f"{MARK}|[,e]"}, behavior, invert))
    yield "whitespace", of(None, {"type": "Whitespace"})
    yield "whitespace split", of(None, steps({"type": "WhitespaceSplit"}, metaspace("always", True)))
    yield "digits", of(None, steps(metaspace("first", False), {"type": "Digits", "individual_digits": True}))
    yield "fused unknown", of(prepared, None, byte_fallback=False, fuse_unk=True)
    yield "each unknown", of(prepared, None, byte_fallback=False, fuse_unk=False)
    yield "no unknown", of(prepared, None, byte_fallback=False, unk_token=None)
    yield "whole words", of(prepared, metaspace("never", True), ignore_merges=True)
    few = {text: token for text, token in bpe["model"]["vocab"].items() if text not in ["<0xE2>", "<0xF0>"]}
    yield "some bytes", of(prepared, None, vocab=few)
    for form in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]:
        yield form, of({"type": "Sequence", "normalizers": [{"type": form}, prepared]}, None)
    for left, right in [(True, True), (True, False), (False, True)]:
        yield f"strip {left} {right}", of({"type": "Strip", "strip_left": left, "strip_right": right}, metaspace("always", True))
    yield "replace", of({"type": "Sequence", "normalizers": [
        replace({"Regex": r"[\u200B\u00AD\s]{2,}|\d+"}, ""), replace({"String": "."}, "$1")]}, None)
    tokens = copy.deepcopy(bpe)
    for number, token in enumerate(tokens["added_tokens"]):
        token["lstrip"], token["rstrip"], token["normalized"] = number % 2 == 0, number % 2 == 1, number > 0
    yield "flags", tokens
    always = metaspace("always", True)
    collapse = [{"type": "Strip", "strip_left": False, "strip_right": True}, replace({"Regex": " {2,}"}, MARK)]
    yield "unigram as t5", as_json(unigram, always, [])
    yield "unigram as xlm-r", as_json(unigram, always, collapse, added=["<s>", "</s>", "<unk>", "[INST]"])
    yield "unigram in one", as_json(unigram, None, [replace({"String": " "}, MARK)])
    yield "unigram of words", as_json(unigram, steps({"type": "WhitespaceSplit"}, always), [])


def fixtures(place):
    """Small models, the same as tokenizer.json, and what the libraries count."""
    words = "the quick brown fox jumps over the lazy dog and then the fox sleeps in the den".split()
    sentences = [" ".join(words[start:start + 5]) for start in range(len(words))] * 9
    rules = Path(tempfile.mkdtemp()) / "rules.tsv"
    # In hexadecimal: what becomes what.
    rules.write_text("FB01\t66 69\nA0\t20\n41\t61\n42\t62\nAD\t\n61 61\t61\n")

    def train(kind, size, **settings):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_writer=model, model_type=kind, vocab_size=size,
            hard_vocab_limit=False, minloglevel=2, num_threads=1, **settings)
        read = proto.ModelProto.FromString(model.getvalue())
        # It names a file of the machine that it was made on.
        read.normalizer_spec.ClearField("normalization_rule_tsv")
        return read.SerializeToString()

    bpe = train("bpe", 330, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                user_defined_symbols=["<sep>", "x y"])
    unigram = train("unigram", 60, normalization_rule_tsv=str(rules), user_defined_symbols=["<sep>"])
    metaspace = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True}
    files = {
        "bpe.model": bpe,
        "unigram.model": unigram,
        "unigram.json": json.dumps(as_json(unigram, metaspace, []), ensure_ascii=False).encode() + b"\n",
    }
    texts = [
        "", " ", "the quick brown fox", "the the  the", "  over the lazy dog  ", "The Fox and the denn", "x y", "ax yb x  y",
        "<sep>the<sep> dog", "\ufb01x ab\u00adc", "the\u00a0fox", "aaaa baab", "\u65e5\u672c \U0001f98a fox", "fox\nfox\t\u0000",
        f"{MARK}the {MARK}", "sleeps in the den " * 40, "jumpsoverthelazydog" * 30,
    ]
    counts = {}
    for name, content in files.items():
        (place / name).write_bytes(content)
        if name.endswith(".model"):
            library = sentencepiece.SentencePieceProcessor(model_proto=content)
            counts[name] = [[text, len(library.encode(text))] for text in texts]
        else:
            library = Tokenizer.from_str(content.decode())
            counts[name] = [[text, len(library.encode(text, add_special_tokens=False).ids)] for text in texts]
    (place / "counts.json").write_text(json.dumps(counts, indent=1) + "\n")


if __name__ == "__main__":
    fixtures(Path(sys.argv[1]))
