"""Which phase of a training job a line speaks of (SPEC A1.1, A1.4, A1.5). Pure.

The rules are tables, read from the top: the first that fits decides. They see a line in lower case and its words only:
paths, settings and identifiers (`/out/checkpoint-500/`, `validation_steps=100`) name phases they are not in.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Stage = Literal["Preprocessing", "Warmup", "Training", "Validation", "Saving checkpoint"]

PREPROCESSING: Final = "Preprocessing"
WARMUP: Final = "Warmup"
TRAINING: Final = "Training"
VALIDATION: Final = "Validation"
SAVING: Final = "Saving checkpoint"

ANY_TIME: Final[frozenset[Stage]] = frozenset()
VALIDATING: Final[frozenset[Stage]] = frozenset({VALIDATION})
RUNNING: Final[frozenset[Stage]] = frozenset({WARMUP, TRAINING, VALIDATION, SAVING})


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{alternative})" for alternative in alternatives))


_NEVER = _words(r"(?!)")


@dataclass(frozen=True, slots=True)
class Rule:
    """The pattern's words put the job in `stage`, unless it is in a stage of which they are only a detail.

    What a start-up does, a run does in passing: the validation loads a pipeline, the data loader reads a cache.
    """

    stage: Stage
    pattern: re.Pattern[str] = _NEVER
    detail_of: frozenset[Stage] = ANY_TIME


# Stages that a line's form tells, not its words.
TRAINS = Rule(TRAINING)
# A loss alone may be the evaluation's.
TRAINS_OR_VALIDATES = Rule(TRAINING, detail_of=VALIDATING)
VALIDATES = Rule(VALIDATION)
SETS_UP = Rule(PREPROCESSING, detail_of=RUNNING)

_EVALUATION = (
    r"\bvalidat",
    r"\bevaluat(?:e|ing)\b",
    r"\beval(?:uation)?\b(?!\W*(?:strategy|steps|batch|data|set|every|interval|mode))",
    r"\b(?:running|starting|start|begin|beginning) (?:final )?(?:prediction|inference|test|testing)\b",
    r"\bsanity check",
    r"\b(?:generating|rendering|running) (?:\w+ ){0,3}(?:samples?|sampling|images?|videos?|previews?)\b",
    r"\bsampling (?:images?|previews?|prompts?|at step)",
)
_GENERATING_DATA = r"\b(?:generating|splitting) (?:class images|(?:train|training|validation|test|eval) split)"
# A phase that is only being prepared: `Precomputing ... for validations`, `Train on 2000 samples, validate on 500`.
_EVALUATION_TO_COME = (
    r"\b(?:pre-?comput|embed|cach|gather|build|creat|collect|split|tokeni)\w*\b.{0,60}\bvalidat",
    _GENERATING_DATA,
    r"\bvalidat\w* (?:\w+ ){0,2}(?:gathering|embed\w*|datasets?|data ?loaders?|split)\b",
    r"\btrain(?:ing)?\b.{0,60}\bvalidat\w*.{0,40}\b(?:samples|images|examples|batches|datasets?)\b",
    r"\b(?:validation|eval|evaluation|test) (?:\w+ ){0,2}(?:set|split|samples|images|examples|batches)\b"
    r"(?: size| count)?\W{0,2}[:=] ?\d+(?!\d| ?/)",
)
_SET_UP = (
    r"\b(?:pre-?comput|tokeni[sz]|preprocess|initiali[sz]|instantiat|configur|compil|download|fetch|extract|unpack"
    r"|unzip|install|collect|gather|caption|scan|discover|bucket|quanti[sz]|convert|resiz|nuking|distributed"
    r"|trainable param)",
    r"\b(?:cache[sd]?|caching|embed(?:s|ding|dings)?|encod(?:e|ing)|prepar(?:e|ing|ed)|set(?:ting)?[ -]?up"
    r"|build(?:ing)?|built|creat(?:e|ed|ing)|index(?:ing)?|patch(?:ed|ing)|replac(?:e|ed|ing)|enabl(?:e|ing)"
    r"|import(?:ing)?|pack(?:ing)?|drop(?:ping)?|moving|unloading|load|loaded|datasets?|data ?loaders?|registered"
    r"|detected|num processes|mixed precision|pipeline components)\b",
    r"\bcuda (?:setup|graph)|\bfound \d+ (?:images|files|samples|examples)|\b(?:local|global)\W?rank\b",
    r"\b(?:available|used): (?:true|false)",
)
_READING_A_CHECKPOINT = (
    r"\b(?:load\w*|resum\w*|restor\w*|initiali[sz]\w*|continu\w*|read(?:ing)?|look\w*|check(?:ing)?|search\w*|found|find"
    r"|no|not|missing|from|latest|base|pre-?trained)\b.{0,80}\bcheckpoints?\b",
    r"\bcheckpoints?\b.{0,60}\b(?:loaded|restored|found|exists?|shards?)\b",
)
_SAVING = (
    r"\b(?<!results )(?:saving|saved|uploading|uploaded|pushing|exporting|exported)\b"
    r"(?! (?!to\b)(?:\w+ ){0,2}"
    r"(?:logs?|results|config\w*|settings|arg\w*|samples?|images?|captions?|metadata|plots?)\b)",
    r"\b(?:save|writing|wrote|written)\b.{0,40}\b(?:model|weights|state|lora|adapters?|tokenizer|checkpoints?)\b",
    r"\bcreating backup\b|\bbacking up\b|\bmerging (?:\w+ ){0,3}(?:weights|adapters?|lora)\b",
)
_SAVING_DATA = r"\b(?:sav|writ)(?:e|ed|ing) (?:the )?(?:\w+ ){0,2}(?:datasets?|cache|latents?|embed\w*)\b"
_LOADING_IN_PASSING = r"\bloading\b.{0,40}(?:pipeline component|from cache|best model|batch)"
_WARM_UP = r"\bwarm(?:ing)?[ -]?up\b"
_NO_TRAINING_YET = r"(?! (?:job|config\w*|data\w*|images|samples|script|set|setup|environment|arguments))"
_TRAINING = (
    r"\b(?:running|starting|started|start|beginning|begin|resuming|continuing) (?:\w+ ){0,4}?training\b"
    rf"{_NO_TRAINING_YET}",
    r"\btraining (?:has )?(?:started|begins)\b|\bstarting trainer\b|\[training\]|^\W*training ?[:|]",
)

TEXT_RULES: Final = (
    Rule(PREPROCESSING, _words(_LOADING_IN_PASSING, _SAVING_DATA, *_EVALUATION_TO_COME), RUNNING),
    Rule(PREPROCESSING, _words(*_READING_A_CHECKPOINT)),
    Rule(SAVING, _words(*_SAVING)),
    Rule(PREPROCESSING, _words(r"\bpre-?processing\b", r"\bloading\b")),
    Rule(VALIDATION, _words(*_EVALUATION)),
    Rule(WARMUP, _words(_WARM_UP)),
    Rule(PREPROCESSING, _words(*_SET_UP), RUNNING),
    Rule(SAVING, _words(r"checkpoint(?!er)")),
    Rule(TRAINING, _words(*_TRAINING)),
)

BAR_RULES: Final = (
    # YOLO heads its validation bar with the columns of the table to come.
    Rule(VALIDATION, _words(r"^\W*class images\b", r"^\W*classes\W*$")),
    Rule(PREPROCESSING, _words(r"\bload(?:ing)?\b"), VALIDATING),
    Rule(PREPROCESSING, _words(r"\b(?:pre-?comput|embed|cach|encod|tokeni|scan)", _GENERATING_DATA), RUNNING),
    Rule(VALIDATION, _words(*_EVALUATION, r"\b(?:sampling|testing|predicting|inference)\b")),
    Rule(SAVING, _words(r"\b(?:sav(?:e|ing)|upload\w*|export\w*|writ(?:e|ing))\b(?!.*\bdatasets?\b)")),
    Rule(
        PREPROCESSING,
        _words(*_SET_UP, r"\b(?:process|map|filter|read|generat|comput|check|captur|format|add|truncat|cast|resolv)"),
        RUNNING,
    ),
    Rule(WARMUP, _words(_WARM_UP)),
    Rule(TRAINING, _words(r"\b(?:steps?|epochs?|train|training|iters?|iterations?)\b")),
)

# A run begins: what was counted before belongs to another one.
RUN_BEGINS: Final = _words(
    r"\* ?running training\b",
    r"\brunning training /",
    r"\bunsloth - ",
    rf"(?:^|[^\w\s,;] )starting (?:\S+ ){{0,2}}training\b{_NO_TRAINING_YET}",
)
RUN_ENDS: Final = _words(
    r"\btraining (?:run |loop |has |is |was |successfully )*(?:completed?|finished|done)\b",
    r"\btrain_runtime\b",
    r"\btrainer\.fit`? stopped",
    r"\bepochs completed in\b",
    r"\bexiting training loop\b",
)
EPOCH_BEGINS: Final = _words(r"\b(?:beginning|start|starting) (?:of )?epoch\b")

# Phrases that hold a word of the floor (SPEC A1.4) and are no phase.
_SET_PHRASES = _words(
    r"(?:gradient|activation)s?[ -]checkpoint\w*",
    r"\bcheckpoint\w* (?:every|interval|frequency|strategy|callback|limit|dir\w*|path|folder)\b",
    r"\b(?:will|to) be (?:saved|validated|loaded|evaluated)\b",
    r"\bwarm-?up (?:steps?|ratio|epochs?|iterations?|iters?|period) ?[:=] ?[\d.]+(?![\d.]| ?/)",
    r"\b(?:with|linear|cosine|constant) (?:\w+ )?warm-?up\b|\bwarm-?up (?:schedul\w*|model)\b",
)
# `Epoch 3/10 - loss: 0.3 - validation loss: 0.4`: a figure beside a counter.
_METRICS = _words(r"\bvalidation (?:loss|acc|accuracy|perplexity|ppl|score) ?[:=]? ?\d")
# A setting alone on its line, as in a YAML dump: `validation: true`, `warmup: 100`.
_SETTING_LINE = re.compile(r"[^\w.-]*[\w.-]+ ?[:=] ?(?:true|false|null|none|-?\d+(?:\.\d+)?)")
# The form of Python's own logging: `INFO:torchtune.utils:Saving checkpoint`.
_LOGGER = re.compile(r"^(?:debug|info|warning|error|critical):[\w.]*:")
# Tokens that are code, paths or settings rather than words.
_CODE_TOKEN = re.compile(r"[/\\=_]|\w\.[a-z]|[a-z]:\d|[a-z]-(?:\d|\w+-)")

# The transformers Trainer's `{'eval_loss': 0.43, 'eval_runtime': 12.3}`; timm's `Test: [  48/48]  Time: ...`.
_EVALUATION_REPORT = re.compile(r"^\W*[\"']eval_\w+[\"']:|\btest(?: \(\w{1,12}\))?: \[ ?\d{1,12}/\d")
# A dump of settings: `TrainingArguments(a=1, b=2, ...)`, `{'lr': 1, ...}`, or `lr ......... 0.00015`.
_SETTING = re.compile(r"\w=[^=\s]|\w[\"']: ")
_DOTTED_SETTING = re.compile(r"\w \.{3,}\s")
_SETTINGS_OF_A_DUMP = 6

# Case matters here: a log level is in capitals, an exception's name in CamelCase.
_CODE_PLACE = re.compile(r"\bFile \".{1,400}\", line \d")
_ERROR = re.compile(
    r"Traceback \(most recent|\b\w+(?:Error|Exception|Interrupt)\b|(?:^|[\]:] )(?:Error|Exception)\b|\bERROR\b"
    r"|[Oo]ut of memory|\bKilling subprocess|^slurmstepd:|^srun:"
)
_WARNING = re.compile(r"\bWARN(?:ING)?\b|Warning:|warnings\.warn|\[NeMo W\b|^wandb:")


def first_rule(rules: tuple[Rule, ...], words: str) -> Rule | None:
    return next((rule for rule in rules if rule.pattern.search(words)), None)


def words_of(line: str) -> str:
    """The line in lower case, without paths, settings, identifiers, and phrases that only sound like a phase."""
    line = line.lower()
    if _SETTING_LINE.fullmatch(line):
        return ""
    words = " ".join(token for token in _LOGGER.sub("", line).split() if not _CODE_TOKEN.search(token))
    return _SET_PHRASES.sub(" ", words)


def without_metrics(words: str) -> str:
    return _METRICS.sub(" ", words)


def is_evaluation_report(line: str) -> bool:
    return bool(_EVALUATION_REPORT.search(line))


def is_settings_dump(line: str) -> bool:
    return bool(_DOTTED_SETTING.search(line)) or len(_SETTING.findall(line)) >= _SETTINGS_OF_A_DUMP


def is_code_place(line: str) -> bool:
    """A traceback's `File "train.py", line 7, in main`."""
    return bool(_CODE_PLACE.search(line))


def is_error(line: str) -> bool:
    """Part of a crash, which tells that the job broke and not what it was doing."""
    return bool(_ERROR.search(line))


def is_warning(line: str) -> bool:
    """Whether the line is logged as a warning."""
    return bool(_WARNING.search(line))
