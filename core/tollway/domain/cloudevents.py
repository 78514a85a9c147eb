"""Reads CloudEvents 1.0: the usage event in the data, with what the envelope adds to it.

Both modes of the Kafka binding: binary (attributes in headers ``ce_*``, the data is the value) and
structured (all in the value). What the data say wins; an attribute stands in for what they leave
out.
"""

import binascii
from typing import Final

import msgspec

from tollway.contract.usage import UsageEvent
from tollway.domain.reading import Unreadable, bounded, explain, read_usage
from tollway.domain.records import Headers

__all__ = ["Envelope", "envelope_of", "may_be_wrapped", "reread", "unwrap"]

# The headers that make a record a CloudEvent, in lower case.
Envelope = dict[str, bytes | None]

_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_STRUCTURED: Final = b"application/cloudevents"
_STRUCTURED_JSON: Final = b"application/cloudevents+json"
_REQUIRED: Final = ("specversion", "id", "source", "type")
_SPECVERSION: Final = "1.0"
# Which field an attribute stands in for, and the most characters that the field may have.
_STANDS_IN: Final = {
    "id": ("id", 512),
    "source": ("source", 512),
    "time": ("time", 40),
    "subject": ("agent", 512),
    "partitionkey": ("workspace", 512),
}
_HINT: Final = (
    "; of a CloudEvent's attributes, time gives the time, subject the agent, partitionkey the"
    " workspace"
)

_Fields = dict[str, msgspec.Raw]
_decode_fields: Final = msgspec.json.Decoder(_Fields).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


def reread(value: bytes | None, headers: Headers, plain: UsageEvent) -> UsageEvent:
    """What a record means whose value alone is an event already. Raises `Unreadable`."""
    envelope = envelope_of(headers)
    return plain if envelope is None else unwrap(value, envelope)


def may_be_wrapped(plain: UsageEvent) -> bool:
    """Whether an envelope could say more than a value that is an event already, or be that value.

    It could add a source; and of an envelope that is taken for an event no attribute may be named
    like a count of tokens.
    """
    return plain.source is None or plain.input_tokens == 0


def envelope_of(headers: Headers) -> Envelope | None:
    """The headers that make a record a CloudEvent; None for any other record."""
    found: Envelope = {}
    for name, value in dict(headers).items():
        lower = name.lower()
        if lower == _CONTENT_TYPE or lower.startswith(_PREFIX):
            found[lower] = value.encode() if isinstance(value, str) else value
    if _media_type(found).startswith(_STRUCTURED):
        return found
    if any(_PREFIX + name in found for name in _REQUIRED):
        return found
    return None


def unwrap(value: bytes | None, envelope: Envelope) -> UsageEvent:
    """The usage event of a CloudEvent, every field checked. Raises `Unreadable`."""
    media_type = _media_type(envelope)
    if media_type.startswith(_STRUCTURED):
        if media_type != _STRUCTURED_JSON:
            raise Unreadable(
                "wrong_type",
                "header content-type: a format of CloudEvents that is not read here; send"
                " application/cloudevents+json, one event a record",
            )
        whole = _fields(value)
        attributes = _attributes_within(whole)
        fields = _fields(_data_within(whole))
    else:
        attributes = _attributes_beside(envelope)
        fields = _fields(value)
    for name, (field, longest) in _STANDS_IN.items():
        text = attributes.get(name)
        if text and _is_absent(fields.get(field)):
            if len(text) > longest:
                raise Unreadable(
                    "out_of_range",
                    f"CloudEvents attribute {name}: more than {longest} characters",
                )
            fields[field] = msgspec.Raw(_encode(text))
    try:
        return read_usage(_encode(fields))
    except Unreadable as why:
        if why.reason != "missing_field":
            raise
        raise Unreadable("missing_field", why.detail + _HINT) from None


def _media_type(envelope: Envelope) -> bytes:
    """Without its parameters, such as a charset: JSON is always UTF-8 here."""
    return (envelope.get(_CONTENT_TYPE) or b"").partition(b";")[0].strip().lower()


def _attributes_beside(envelope: Envelope) -> dict[str, str]:
    found: dict[str, str] = {}
    for header, raw in envelope.items():
        name = header.removeprefix(_PREFIX)
        if raw is None or name == header or not _is_read(name):
            continue
        try:
            found[name] = raw.decode()
        except UnicodeDecodeError:
            raise Unreadable("wrong_type", f"CloudEvents attribute {name}: not UTF-8") from None
    return _checked(found)


def _attributes_within(whole: _Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, raw in whole.items():
        if _is_read(name) and not _is_absent(raw):
            try:
                found[name] = _decode_text(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise Unreadable("wrong_type", f"CloudEvents attribute {name}: no text") from None
    return _checked(found)


def _is_read(name: str) -> bool:
    return name in _REQUIRED or name in _STANDS_IN


def _checked(attributes: dict[str, str]) -> dict[str, str]:
    for name in _REQUIRED:
        if not attributes.get(name):
            raise Unreadable("missing_field", f"CloudEvents attribute {name}: missing or empty")
        if name == "specversion" and attributes[name] != _SPECVERSION:
            raise Unreadable(
                "unknown_version",
                f"CloudEvents attribute specversion: this worker reads {_SPECVERSION} alone",
            )
    return attributes


def _fields(value: bytes | None) -> _Fields:
    """The members of a JSON object, not decoded further."""
    value = bounded(value)
    try:
        return _decode_fields(value)
    except msgspec.DecodeError as error:
        raise explain(value, error) from None
    except UnicodeDecodeError as error:
        raise Unreadable("broken_json", f"not UTF-8: {error.reason}") from None


def _data_within(whole: _Fields) -> bytes:
    data, encoded = whole.get("data"), whole.get("data_base64")
    if data is not None and not _is_absent(data):
        return bytes(data)
    if encoded is None or _is_absent(encoded):
        raise Unreadable("empty", "the CloudEvent has no data; a usage event is one JSON object")
    try:
        return binascii.a2b_base64(_decode_text(encoded), strict_mode=True)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise Unreadable("broken_json", "CloudEvents attribute data_base64: no base64") from None


def _is_absent(raw: msgspec.Raw | None) -> bool:
    return raw is None or bytes(raw) == b"null"
