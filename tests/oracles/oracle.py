"""What other people's code says: signs what Hookyard must accept, verifies what
Hookyard sent, writes and reads CloudEvents.

One JSON object on standard input, one on standard output. Bodies are text.
Each operation imports its SDK itself, because a call should start quickly. The
providers without an SDK for it are written here from their documentation, and
nothing from Hookyard's own code.
"""

import base64
import hashlib
import hmac
import json
import secrets
import sys
from datetime import datetime, timezone
from urllib.parse import parse_qs, urlencode


class Request(dict):
    """Names what the caller forgot, and is no `Exception`, which a verifier
    would take for its "no"."""

    def __missing__(self, field):
        sys.exit(f"the request lacks {field!r}, it has {', '.join(self)}")


def moment(seconds):
    return datetime.fromtimestamp(int(seconds), tz=timezone.utc)


def hmac_sha256(secret, data):
    return hmac.new(secret.encode(), data.encode(), hashlib.sha256)


# Signing: each answers {"headers": .., "query": ..?, "url": ..?, "body": ..?}.


def sign_standardwebhooks(ask):
    from standardwebhooks.webhooks import Webhook

    signature = Webhook(ask["secret"]).sign(ask["id"], moment(ask["timestamp"]), ask["body"])
    return {"headers": standard_headers("webhook", ask, signature)}


def sign_svix(ask):
    from svix.webhooks import Webhook

    signature = Webhook(ask["secret"]).sign(ask["id"], moment(ask["timestamp"]), ask["body"])
    return {"headers": standard_headers("svix", ask, signature)}


def sign_standardwebhooks_v1a(ask):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    # The seed, and after it, as libsodium has it, the public key.
    seed = unprefixed(ask["secret"], "whsk_")[:32]
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(standard_content(ask["id"], ask["timestamp"], ask["body"]))
    return {"headers": standard_headers("webhook", ask, f"v1a,{base64.b64encode(signature).decode()}")}


def sign_stripe(ask):
    from stripe import WebhookSignature

    header = WebhookSignature.generate_signature_header(ask["body"], ask["secret"], ask["timestamp"])
    return {"headers": {"Stripe-Signature": header}}


def sign_slack(ask):
    from slack_sdk.signature import SignatureVerifier

    timestamp = str(ask["timestamp"])
    signature = SignatureVerifier(ask["secret"]).generate_signature(timestamp=timestamp, body=ask["body"])
    return {"headers": {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature}}


def sign_twilio(ask):
    from twilio.request_validator import RequestValidator

    validator, url = RequestValidator(ask["secret"]), ask["url"]
    if "form" in ask:
        form = Form(ask["form"])
        headers = {"X-Twilio-Signature": validator.compute_signature(url, form), "Content-Type": FORM}
        return {"headers": headers, "url": url, "body": urlencode(form, doseq=True)}
    query = {"bodySHA256": validator.compute_hash(ask["body"])}
    url += ("&" if "?" in url else "?") + urlencode(query)
    return {"headers": {"X-Twilio-Signature": validator.compute_signature(url, {})}, "query": query, "url": url}


def sign_sendgrid(ask):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    key = load_der_private_key(base64.b64decode(ask["secret"]), None)
    timestamp = str(ask["timestamp"])
    signature = key.sign((timestamp + ask["body"]).encode(), ec.ECDSA(hashes.SHA256()))
    return {
        "headers": {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
    }


def sign_github(ask):
    return {"headers": {"X-Hub-Signature-256": "sha256=" + hmac_sha256(ask["secret"], ask["body"]).hexdigest()}}


def sign_shopify(ask):
    digest = hmac_sha256(ask["secret"], ask["body"]).digest()
    return {"headers": {"X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode()}}


def sign_mailgun(ask):
    """Signs a time and a token, not the event, and all three travel in the body."""
    timestamp, token = str(ask["timestamp"]), ask.get("id") or secrets.token_hex(25)
    signature = hmac_sha256(ask["secret"], timestamp + token).hexdigest()
    signed = json.dumps({"token": token, "timestamp": timestamp, "signature": signature})
    return {"headers": {}, "body": f'{{"signature": {signed}, "event-data": {ask["body"]}}}'}


SIGN = {
    "github": sign_github,
    "mailgun": sign_mailgun,
    "meta": sign_github,  # The same header, after which GitHub's was modelled.
    "sendgrid": sign_sendgrid,
    "shopify": sign_shopify,
    "slack": sign_slack,
    "standardwebhooks": sign_standardwebhooks,
    "standardwebhooks-v1a": sign_standardwebhooks_v1a,
    "stripe": sign_stripe,
    "svix": sign_svix,
    "twilio": sign_twilio,
}


# Verifying: each answers whether it holds, or raises. The SDKs with a tolerance
# measure it with the machine's clock.


def verify_standardwebhooks(ask):
    from standardwebhooks.webhooks import Webhook

    Webhook(ask["secret"]).verify(ask["body"], ask["headers"], json_parse=False)
    return True


def verify_svix(ask):
    from svix.webhooks import Webhook

    Webhook(ask["secret"]).verify(ask["body"], ask["headers"])
    return True


def verify_standardwebhooks_v1a(ask):
    """The signature alone, whatever its age: no SDK of the list knows `v1a`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(unprefixed(ask["secret"], "whpk_"))
    headers = ask["headers"]
    content = standard_content(headers["webhook-id"], headers["webhook-timestamp"], ask["body"])
    for signature in headers["webhook-signature"].split(" "):
        version, _, text = signature.partition(",")
        if version != "v1a":
            continue
        try:
            key.verify(base64.b64decode(text), content)
            return True
        except InvalidSignature:
            pass
    return False


def verify_stripe(ask):
    from stripe import Webhook, WebhookSignature

    header = ask["headers"].get("stripe-signature")
    return WebhookSignature.verify_header(ask["body"], header, ask["secret"], Webhook.DEFAULT_TOLERANCE)


def verify_slack(ask):
    from slack_sdk.signature import SignatureVerifier

    return SignatureVerifier(ask["secret"]).is_valid_request(ask["body"], ask["headers"])


def verify_twilio(ask):
    from twilio.request_validator import RequestValidator

    headers, params = ask["headers"], ask["body"]
    if headers.get("content-type", "").startswith(FORM):
        params = Form(parse_qs(params, keep_blank_values=True))
    return RequestValidator(ask["secret"]).validate(ask["url"], params, headers["x-twilio-signature"])


def verify_sendgrid(ask):
    from sendgrid.helpers.eventwebhook import EventWebhook, EventWebhookHeader

    signature = ask["headers"][EventWebhookHeader.SIGNATURE.lower()]
    timestamp = ask["headers"][EventWebhookHeader.TIMESTAMP.lower()]
    return EventWebhook(ask["secret"]).verify_signature(ask["body"], signature, timestamp)


def verify_connectgain(ask):
    """The platform's Python recipe; `platforms.mjs` has its Node recipe."""
    return hmac.compare_digest(hmac_sha256(ask["secret"], ask["body"]).hexdigest(), ask["headers"]["x-webhook-signature"])


def verify_http_message_signatures(ask):
    from types import SimpleNamespace

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from http_message_signatures import HTTPMessageVerifier, algorithms
    from http_message_signatures.resolvers import MappingKeyResolver

    if ask["algorithm"] == "ed25519":
        algorithm, key = algorithms.ED25519, Ed25519PublicKey.from_public_bytes(unprefixed(ask["secret"], "whpk_"))
    else:
        algorithm, key = algorithms.HMAC_SHA256, unprefixed(ask["secret"], "whsec_")
    keys = MappingKeyResolver(public_keys={ask["keyid"]: key}, private_keys={})
    message = SimpleNamespace(method=ask["method"], url=ask["url"], headers=ask["headers"])
    HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=keys).verify(
        message,
        expect_tag="webhook",
        expect_label=ask["label"],
        require_components=("@method", "@target-uri", "content-digest", "webhook-id"),
        body=ask["body"].encode(),
    )
    return True


VERIFY = {
    "connectgain": verify_connectgain,
    "http-message-signatures": verify_http_message_signatures,
    "sendgrid": verify_sendgrid,
    "slack": verify_slack,
    "standardwebhooks": verify_standardwebhooks,
    "standardwebhooks-v1a": verify_standardwebhooks_v1a,
    "stripe": verify_stripe,
    "svix": verify_svix,
    "twilio": verify_twilio,
}


# What both directions need.

FORM = "application/x-www-form-urlencoded"


class Form(dict):
    """A form whose names may stand more than once, as Twilio's SDK asks for them."""

    def getlist(self, name):
        return self[name] if isinstance(self[name], list) else [self[name]]


def standard_headers(prefix, ask, signature):
    return {f"{prefix}-id": ask["id"], f"{prefix}-timestamp": str(ask["timestamp"]), f"{prefix}-signature": signature}


def standard_content(message, timestamp, body):
    return f"{message}.{timestamp}.{body}".encode()


def unprefixed(key, prefix):
    if not key.startswith(prefix):
        sys.exit(f"the key does not begin with {prefix}")
    return base64.b64decode(key.removeprefix(prefix))


# The operations.


def sign(ask):
    return known(SIGN, ask["library"])(ask)


def verify(ask):
    verifier = known(VERIFY, ask["library"])
    ask["headers"] = {name.lower(): value for name, value in ask["headers"].items()}
    try:
        return {"valid": bool(verifier(ask))}
    except ImportError:
        raise
    except Exception as error:
        return {"valid": False, "error": f"{type(error).__name__}: {error}"}


def sendgrid_keys(_ask):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"public": base64.b64encode(public).decode(), "private": base64.b64encode(private).decode()}


def ed25519_keys(_ask):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    private = key.private_bytes_raw() + public
    return {"public": f"whpk_{base64.b64encode(public).decode()}", "private": f"whsk_{base64.b64encode(private).decode()}"}


def cloudevents_write(ask):
    from cloudevents.core.bindings import http
    from cloudevents.core.v1.event import CloudEvent

    attributes = dict(ask["attributes"])
    if "time" in attributes:
        attributes["time"] = datetime.fromisoformat(attributes["time"])
    writers = {"binary": http.to_binary_event, "structured": http.to_structured_event}
    message = known(writers, ask["mode"])(CloudEvent(attributes, ask.get("data")))
    return {"headers": message.headers, "body": message.body.decode()}


def cloudevents_read(ask):
    from cloudevents.core.bindings import http

    # The SDK picks out `content-type` by its lower-case name.
    headers = {name.lower(): value for name, value in ask["headers"].items()}
    event = http.from_http_event(http.HTTPMessage(headers, ask["body"].encode()))
    attributes = dict(event.get_attributes())
    if "time" in attributes:
        attributes["time"] = attributes["time"].isoformat().replace("+00:00", "Z")
    return {"attributes": attributes, "data": event.get_data()}


OPERATIONS = {
    "cloudevents-read": cloudevents_read,
    "cloudevents-write": cloudevents_write,
    "ed25519-keys": ed25519_keys,
    "sendgrid-keys": sendgrid_keys,
    "sign": sign,
    "verify": verify,
}


def known(table, name):
    return table.get(name) or sys.exit(f"{name!r} is none of {', '.join(table)}")


if __name__ == "__main__":
    # Bytes, which are UTF-8 whatever the locale.
    request = Request(json.load(sys.stdin.buffer))
    print(json.dumps(known(OPERATIONS, request["do"])(request)))
