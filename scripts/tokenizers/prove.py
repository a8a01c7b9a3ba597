"""What scripts/prove-tokenizers runs: the program and the libraries count the same texts.

Usage: prove.py PROGRAM DIRECTORY     (the directory holds the files that were fetched)

The program is asked as a user asks it: a workflow with a task for each text, and a dry run of it.
"""

import copy
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import made
import sentencepiece
import tiktoken
import tiktoken_ext.openai_public as openai_public
from tiktoken.load import load_tiktoken_bpe
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent.parent
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
INSTRUCTIONS = "Be brief."


def texts():
    """By name. None quotes an input or another task, since such a prompt is not the text itself."""
    found = {
        "word": "hello",
        "english": "The quick brown fox can't jump over 13 lazy dogs; they'LL see 1,234,567.89 of them!",
        "newlines": "\n\n\r\n a\n  b\n\t\tc   \n \n",
        "only spaces": "x" + " " * 3_000,
        "numbers": "1 12 123 1234 12345 123456789012345678901234567890 ½ Ⅷ ٣٤٥ ①",
        "chinese": "大规模语言模型把文本切分成词元，然后逐个预测下一个词元。「你好，世界！」",
        "japanese": "吾輩は猫である。名前はまだ無い。カタカナとひらがなと漢字。ﾊﾝｶｸ",
        "korean": "모든 국민은 법 앞에 평등하다. 안녕하세요",
        "arabic": "يُولَدُ جميعُ النَّاسِ أحرارًا متساوين في الكرامة والحقوق.",
        "hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
        "russian": "Все люди рождаются свободными и равными в своём достоинстве и правах.",
        "thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
        "emoji": "👩‍👩‍👧‍👦 👍🏽 🇩🇪🏳️‍🌈 ❤️‍🔥 ☕️ a🦀b 🫠🫠🫠",
        "combining": "e\u0301 a\u030a n\u0303 \u1e9b\u0323 \ufb01 \u212b \u2460 \uff21 Z\u0351\u036b\u0343",
        "controls": "a\u0001b\u0007c\u000bd\u000ce\u0085f\u00a0g\u200bh\u2028i\u2029j\ufeffk\u00adl",
        "long word": "a" * 20_000,
        "long mixed word": "".join(random.Random(7).choice("abcdefgh") for _ in range(30_000)),
        "base64": "TG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQ=" * 400,
        "punctuation": "!?#$%&'()*+,-./:;<=>@[]^_`|~ ... --- === ///// \\\\ <a href='x'>b</a>;\n",
        "long s": "DON'T i'ſ we'VE İstanbul ßẞ",
        "special": "<|endoftext|><|im_start|>user\nhi<|im_end|><｜User｜>hi <｜Assistant｜>\n<｜end▁of▁sentence｜>x",
        "other special": "a <｜fim▁hole｜> b<｜fim▁begin｜><EOT> <META>c",
        "outside": "\U0001F9FF\U00020000\U0002F800\U000E0041",
    }
    for path in ["orchestrator-gateway/src/gateway.rs", "scripts/measure", "docs/providers.md", "Cargo.lock",
                 "docs/schemas/plan.json", "LICENSE-APACHE"]:
        found[path] = (ROOT / path).read_text().replace("{{", "{ {").replace("}}", "} }")
    draw = random.Random(20261126)
    ranges = [(0x20, 0x7E), (0x20, 0x2FF), (0x370, 0x52F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0x1F300, 0x1F64F),
              (0x9, 0xD), (0x2000, 0x206F), (0x600, 0x6FF), (0xAC00, 0xD7A3)]
    for number in range(40):
        letters = []
        while len(letters) < 400:
            low, high = draw.choice(ranges)
            letters += [chr(draw.randint(low, high)) for _ in range(draw.randint(1, 9))]
        text = "".join(letters).replace("{{", "{ {").replace("}}", "} }")
        found[f"random {number}"] = text
    return found | made.edges()


def variants(deepseek):
    """The same tokens, split and prepared in every way that is read."""
    def of(name, change):
        document = copy.deepcopy(deepseek)
        change(document)
        return name, document

    def steps(*steps):
        def change(document):
            document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": list(steps)}
        return change

    def split(pattern, behavior="Isolated", invert=False):
        return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}

    def byte_level(**more):
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True, **more}

    def key(name, value):
        def change(document):
            document[name] = value
        return change

    def flags(document):
        for number, token in enumerate(document["added_tokens"]):
            token["lstrip"], token["rstrip"] = number % 2 == 0, number % 3 == 0
            token["normalized"] = number % 5 == 0

    def ignore(document):
        document["model"]["ignore_merges"] = True

    def two(document):
        document["model"]["merges"] = [merge.split(" ") for merge in document["model"]["merges"]]

    qwen = {"Regex": QWEN}
    yield of("as gpt-2", key("pre_tokenizer", byte_level()))
    yield of("with a space before", key("pre_tokenizer", byte_level(add_prefix_space=True)))
    yield of("a space before each", steps(split(qwen), byte_level(add_prefix_space=True, use_regex=False)))
    yield of("what is found", steps(split(qwen, "Removed", True), byte_level(use_regex=False)))
    yield of("by a text", steps(split({"String": "."}), byte_level(use_regex=False)))
    yield of("each digit", steps({"type": "Digits", "individual_digits": True}, byte_level()))
    yield of("digits", steps({"type": "Digits", "individual_digits": False}, byte_level()))
    yield of("nfc", key("normalizer", {"type": "NFC"}))
    yield of("nfkc", key("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "NFKC"}]}))
    yield of("flags", flags)
    yield of("whole words", ignore)
    yield of("merges in pairs", two)


def published(path, encoding, pattern):
    file = tiktoken.Encoding(encoding, pat_str=pattern, mergeable_ranks=load_tiktoken_bpe(str(path)), special_tokens={})
    return lambda text: len(file.encode_ordinary(text))


def ask(program, tokenizer, texts):
    """What the program counts for each text, by a dry run."""
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        (place / ".orchestrator").mkdir()
        (place / ".orchestrator" / "config.toml").write_text(
            "[providers.local]\nkind = 'openai-chat'\nbase-url = 'http://127.0.0.1:9'\n"
            f"[agents.one]\nprovider = 'local'\nmodel = 'm'\nrole = 'dev'\ninstructions = '{INSTRUCTIONS}'\n"
            f"[tokenizers.m]\nfile = '{tokenizer}'\n")
        tasks = {f"t{number}": {"agent": "one", "prompt": text} for number, text in enumerate(texts.values())}
        (place / "texts.json").write_text(json.dumps({"name": "texts", "tasks": tasks}))
        done = subprocess.run(
            [program, "execute", "--workflow", "texts.json", "--dry-run", "--json"], cwd=place,
            env={"HOME": str(place), "PATH": os.environ["PATH"]}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{tokenizer}: {done.stdout}{done.stderr}")
        plan = json.loads(done.stdout)
        found = {}
        for task in plan["items"]:
            assert task["estimate"]["input_is_counted"], task["name"]
            found[task["name"]] = task["estimate"]["input_tokens"]
        return {name: found[f"t{number}"] for number, name in enumerate(texts)}


def library(path):
    """What counts the tokens of a text by the library that the file belongs to."""
    if path.suffix == ".model":
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        return lambda text: len(model.encode(text))
    file = Tokenizer.from_file(str(path))
    file.no_truncation()
    return lambda text: len(file.encode(text, add_special_tokens=False).ids)


def files(tools, place, corpus):
    """All that are compared but for the .tiktoken: as they are published, and made from those."""
    for name in ["deepseek.json", "anthropic.json", "gemma.json", "gemma-3.json", "llama-2.json", "mon.json",
                 "mistral-1.model", "mistral-3.model", "mistral-7.model", "j2.model"]:
        yield tools / name
    deepseek, llama = [json.loads((tools / name).read_text()) for name in ["deepseek.json", "llama-2.json"]]
    models = dict(made.models(corpus))
    for name, document in variants(deepseek):
        yield written(place / f"deepseek {name}.json", json.dumps(document).encode())
    for name, content in models.items():
        yield written(place / f"{name}.model", content)
    for name, document in made.documents(llama, models["unigram"]):
        yield written(place / f"llama-2 {name}.json", json.dumps(document).encode())
    j2 = (tools / "j2.model").read_bytes()
    metaspace = {"type": "Metaspace", "replacement": made.MARK, "prepend_scheme": "always", "split": True}
    yield written(place / "j2.json", json.dumps(made.as_json(j2, metaspace, [], byte_fallback=True)).encode())


def written(path, content):
    path.write_bytes(content)
    return path


def main():
    program, tools = sys.argv[1], Path(sys.argv[2])
    corpus = texts()
    subjects = []
    for name in ["cl100k_base", "o200k_base", "p50k_base"]:
        path = tools / f"{name}.tiktoken"
        # The library's own pattern, without the download that its constructors do.
        openai_public.load_tiktoken_bpe = lambda *_, **__: {}
        subjects.append((path, published(path, name, getattr(openai_public, name)()["pat_str"])))
    subjects.append((tools / "qwen.tiktoken", published(tools / "qwen.tiktoken", "qwen", QWEN)))
    with tempfile.TemporaryDirectory() as place:
        subjects += [(path, None) for path in files(tools, Path(place), corpus)]
        wrong = all_tokens = 0
        for path, count in subjects:
            count = count or library(path)
            ours = ask(program, path, corpus)
            told = count(INSTRUCTIONS)
            theirs = {name: count(text) + told for name, text in corpus.items()}
            differ = [name for name in corpus if ours[name] != theirs[name]]
            for name in differ:
                print(f"{path.name}: {name}: ours {ours[name]}, the library's {theirs[name]}")
            wrong += len(differ)
            all_tokens += sum(theirs.values())
            print(f"{path.name}: {len(corpus)} texts, {sum(theirs.values())} tokens, {len(differ)} differ", flush=True)
    print(f"{len(subjects)} tokenizers, {len(corpus)} texts each, {all_tokens} tokens, {wrong} differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
