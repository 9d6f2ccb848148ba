"""What the makers of models say through fal, in words of their own: policy refusals, and trouble with an account there.

The wordings are those of OpenAI, Google, ByteDance, Alibaba, Black Forest Labs, Ideogram, Recraft, Stability, Kling and
MiniMax as their documentation and public bug reports quote them; what is new is put in similar words.
"""

from __future__ import annotations

import re

from bot.errors import ContentRefused, PartnerAccountRefused, PartnerBusy
from bot.fal.fields import Thing, thing_of
from bot.fal.problems import Entry, Field, ProviderProblem
from bot.phrase import Phrase

_POLICY_TYPES = re.compile(r"content_policy|moderation|safety|sensitive|nsfw|prohibited|policy_violation", re.I)

_BAD = (
    r"(?:inappropriate|prohibited|disallowed|forbidden|harmful|unsafe|offensive|sensitive|explicit|sexual\w*|adult|violent"
    r"|illegal|restricted|nsfw|objectionable|banned|blocked|hateful|graphic|copyrighted|flagged)"
)
_MATTER = r"(?:content|contents|material|materials|words?|terms?|information|concepts?|imagery|subject|keywords?)"
_RULES = r"(?:polic(?:y|ies)|guidelines?|terms|rules|standards|practices|laws?|regulations?)"
#: Any of these, in text in lower case, is a refusal for what the content is.
_POLICY = re.compile(
    "|".join(
        (
            rf"\b{_BAD}\W+(?:\w+\W+){{0,2}}{_MATTER}\b",
            r"\b(?:prompt|contents?|material|request|query|text|(?:input|output|generated|uploaded|provided) images?)"
            r"\W+(?:\w+\W+){0,5}(?:flagged|moderated|prohibited|inappropriate|unsafe|disallowed|nsfw|sensitive|offensive)\b",
            r"\b(?:prompt|content|material) (?:was |is |has been |that is )?"
            r"(?:blocked|rejected|refused|not (?:allowed|permitted))",
            r"\bcontent[ _-](?:polic|checker|moderat|filter|safety|violation|restriction|guideline|blocked|refus)",
            r"\bsafety[ _-](?:system|filter|check|guideline|policy|policies|violation|reason|rating|threshold)",
            r"\b(?:unsafe|nsfw) (?:content|image|prompt|material|generation)|\bnsfw\b.{0,20}\bdetected",
            r"\bmoderation\b|moderation_blocked|\b(?:request|content|prompt|image)s? moderated",
            rf"\bviolat\w*\W+(?:[\w'’]+\W+){{0,6}}{_RULES}\b|\b{_RULES}\W+(?:\w+\W+){{0,3}}violat",
            r"\b(?:usage|acceptable use|use|community) (?:polic(?:y|ies)|guidelines|standards)",
            r"responsible ai|\braifilter|\brai[ _]filter|\brai_media",
            r"sensitivecontent|datainspectionfailed|data inspection failed|input_?new_?sensitive",
            r"risk[ _-]control|(?:failed|did not pass|fail to pass) (?:the )?(?:safety|content|security|risk)",
            r"\b(?:filtered|blocked) (?:out )?(?:because|due to|by|for)\b.{0,80}"
            r"(?:safety|polic|content|filter|guideline|sensitive)",
            r"flagged (?:as|by|for)\b|(?:was|were|been) flagged\b|material flagged",
            r"\b(?:celebrit(?:y|ies)|public figures?|real (?:person|people)|minors?|children)\b.{0,60}"
            r"(?:not allowed|not permitted|prohibited|not supported|restricted|blocked)",
            r"\b(?:copyright|intellectual property|trademark)\b",
            "敏感|违规|审核",
        )
    )
)
#: The words above in a sentence about a file's format or size mean something else.
_TECHNICAL = re.compile(r"\b(?:format|mime|content[- ]type|extension|codec|megapixels?|dimensions?|resolution)\b")
_OF_RESULT = re.compile(
    r"(?:generated|output|resulting|produced)[\s_-]*(?:image|picture|content|data|media|result)|output(?:image|video)"
)
_FILTERED = re.compile(
    r"(?:images?|results?|generations?) (?:was|were|got|have been|has been) (?:filtered|blocked|flagged|removed)"
)
_OF_MASK = re.compile(r"\bmask")
_OF_PICTURE = re.compile(
    r"(?:input|uploaded|provided|reference|source|init|attached|given|supplied|user|your|first|this)[\s_-]*(?:image|picture|"
    r"photo|img)|inputimage|\bimages? (?:provided|uploaded|given|supplied|you)|image_url|\bface\b"
)
_OF_PROMPT = re.compile(r"\bprompts?\b|input[\s_]*text|\btext\b|\bwords?\b|\bkeywords?\b|\bterms?\b|wording")

#: Types whose text speaks of a value, never of a policy.
_PLAIN_TYPES = re.compile(
    r"missing|.*_(?:type|parsing|short|long|small|large|format)|less_than.*|greater_than.*|multiple_of|enum|one_of"
)


def content_refusal(problem: ProviderProblem) -> ContentRefused | None:
    """A refusal for what the prompt, a picture or the result shows."""
    for entry in problem.entries:
        if _POLICY_TYPES.search(entry.type) or (not _PLAIN_TYPES.fullmatch(entry.type) and _is_policy(entry.text)):
            return _refused(entry.field, entry.text)
    if any(_POLICY_TYPES.search(kind) for kind in problem.types):
        return _refused(Field(""), problem.text)
    if not problem.entries and problem.is_json and _may_be_policy(problem.status) and _is_policy(problem.text):
        return _refused(Field(""), problem.text)
    return None


def _may_be_policy(status: int) -> bool:
    return status in (400, 403, 409, 422, 451) or status >= 500


def _is_policy(text: str) -> bool:
    found = _POLICY.search(text)
    return found is not None and not (_TECHNICAL.search(text) and "polic" not in text and "safety" not in text)


def _refused(field: Field, text: str) -> ContentRefused:
    thing = thing_of(field.name)
    if thing in (Thing.PICTURE, Thing.MASK):
        return ContentRefused("mask" if thing is Thing.MASK else "picture", option=field.name, number=field.number)
    if _OF_RESULT.search(text):
        return ContentRefused("result")
    if thing is Thing.PROMPT:
        return ContentRefused("prompt")
    if _OF_MASK.search(text):
        return ContentRefused("mask")
    if _OF_PICTURE.search(text):
        return ContentRefused("picture")
    if _FILTERED.search(text):
        return ContentRefused("result")
    return ContentRefused("prompt" if _OF_PROMPT.search(text) else "request")


# ---------------------------------------------------------------------- the operator's account at OpenAI

#: Words that come from OpenAI alone.
_OPENAI = re.compile(
    r"openai|\bsk-\w|organization must be verified|incorrect api key provided|insufficient_quota"
    r"|exceeded your current quota|billing_hard_limit|billing hard limit|invalid_api_key"
)
#: fal's own words about its account.
_FAL_ACCOUNT = re.compile(r"user is locked|exhausted balance|fal\.ai/dashboard|key id")
_OPENAI_ENDPOINT = re.compile(r"gpt-image|openai|dall-e|/byok")
_OPENAI_KEY_FIELD = re.compile(r"api_key|byok")
#: What is wrong with the account, by the words for it; the first that fits.
_ACCOUNT = (
    ("unverified", re.compile(r"must be verified|verify (?:your )?organization|organization.{0,40}verif|unverified")),
    ("credit", re.compile(r"insufficient_quota|exceeded your current quota|billing_hard_limit|hard limit has been")),
    ("busy", re.compile(r"rate[ _]limit|too many requests|(?:requests|tokens|images) per (?:min|day)")),
    (
        "credit",
        re.compile(
            r"billing|spend(?:ing)? limit|(?:out of|no) credits?|insufficient (?:funds|credits?|balance|quota)|payment"
        ),
    ),
    (
        "access",
        re.compile(
            r"does not exist or you|(?:not|n.t|no) have access|no access|member of an organization|missing scopes"
            r"|insufficient permissions|account.{0,30}(?:deactivated|not active|suspended|disabled|terminated)|archived"
            r"|(?:country|region|territory).{0,40}not supported|ip .{0,20}not authorized|model_not_found"
        ),
    ),
    (
        "key",
        re.compile(
            r"invalid_?api_?key|invalid_?auth|authentication (?:error|failed|token)|provide an api key|unauthorized"
            r"|(?:incorrect|invalid|wrong|bad|expired|revoked|disabled|malformed|missing)\W+(?:openai\W+)?(?:api\W*)?key"
            r"|api\W*key.{0,40}(?:incorrect|invalid|not valid|expired|revoked|disabled|missing|required|wrong)"
        ),
    ),
)


def partner_refusal(problem: ProviderProblem, endpoint: str) -> PartnerAccountRefused | PartnerBusy | None:
    """OpenAI's refusal of the operator's account there. The person's request has nothing to do with it."""
    said = " ".join([problem.text, *sorted(problem.types)]).lower()
    if not problem.is_json or _FAL_ACCOUNT.search(said):
        return None
    about_key = any(is_about_openai(entry) for entry in problem.entries)
    # A 401, 402 or 403 is fal's own, as long as nothing in it is OpenAI's alone.
    by_endpoint = _OPENAI_ENDPOINT.search(endpoint) is not None and problem.status not in (401, 402, 403)
    if not (about_key or by_endpoint or _OPENAI.search(said)):
        return None
    what = next((what for what, words in _ACCOUNT if words.search(said)), "key" if about_key else None)
    if what == "busy":
        return PartnerBusy("OpenAI")
    if what is None:
        return None
    return PartnerAccountRefused("OpenAI", Phrase(f"partner_{what}", {"service": "OpenAI"}))


def is_about_openai(entry: Entry) -> bool:
    """Whether a model's error is about the OpenAI key, which is never a person's to set right."""
    return _OPENAI_KEY_FIELD.search(entry.field.name) is not None
