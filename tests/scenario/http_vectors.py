"""HTTP/1.1 by vectors: what a client sends, what it must get.

A row is a Vector.  ${raw} goes out as it stands, with @KEY@ for a valid key;
@WAIT@ in it means that the rest follows when the next answer has come, @FIN@
that the client closes its sending half (then nothing says that the server will
end it: there is nobody left to tell).  ${expect} lists the answers: a status
each, with "-" behind it if it must have no body; then "open" if the connection
must take a further request, "close" if the server must end it and answer
nothing that follows.  A word after that is the parameter which the error of
the last answer must name.

${source}: a section of RFC 9110 or RFC 9112 ("9112 6.3"), or "ours" where the
standard leaves the choice and ours is refusal, or a limit of our own.
"""

from typing import NamedTuple


class Vector(NamedTuple):
    name: str
    raw: bytes
    expect: str
    source: str
    why: str


VECTORS = []
LINE = b"GET /v1/models/fast HTTP/1.1"
POST = b"POST /v1/jobs HTTP/1.1"
AUTH = b"authorization: Bearer @KEY@"
JSON = b"content-type: application/json"
HOST = b"host: synq"
TE = b"transfer-encoding: chunked"
LAST = b"0\r\n\r\n"
# Understood whole, and refused for its content alone: the parameter shows
# that every byte of the body arrived.
BODY = b'{"whole":1}'


def length(value):
    return b"content-length: " + (value if isinstance(value, bytes) else b"%d" % value)


def head(line, *fields):
    return b"\r\n".join((line, *fields)) + b"\r\n\r\n"


def get(*fields, line=LINE):
    return head(line, HOST, AUTH, *fields)


def post(*fields, body=b"", line=POST):
    return head(line, HOST, AUTH, JSON, *fields) + body


def chunks(body, *fields):
    return post(TE, *fields, body=body)


def vector(name, raw, expect, source, why):
    VECTORS.append(Vector(name, raw, expect, source, why))


def same(expect, source, why, **rows):
    """Several rows for one rule."""
    for name, raw in rows.items():
        vector(name, raw, expect, source, why)


def line(text):
    return get(line=text)


# ---- the request line

same("200 open", "9112 3", "the plain form, and what may stand around it",
     plain=get(), empty_line_before=b"\r\n" + get(),
     query=line(b"GET /v1/models/fast?a=b?c/d HTTP/1.1"),
     field_names_in_any_case=head(LINE, b"HoSt: synq", b"AUTHORIZATION: Bearer @KEY@"),
     value_without_space=head(LINE, b"Host:synq", b"Authorization:Bearer @KEY@"),
     value_with_much_space=head(LINE, b"host: \t synq \t ", AUTH),
     empty_value=get(b"x-empty:"), obs_text=get(b"x-text: \xe4\xff\x80"),
     tab_in_value=get(b"x-tab: a\tb"), token_marks_in_name=get(b"x!#$%&'*+-.^_`|~9: y"))
same("400 close", "9112 3", "exactly one space between the parts, and nothing else",
     two_spaces_before_target=line(b"GET  /v1/models/fast HTTP/1.1"),
     two_spaces_before_version=line(b"GET /v1/models/fast  HTTP/1.1"),
     space_behind_version=line(b"GET /v1/models/fast HTTP/1.1 "),
     space_before_method=line(b" GET /v1/models/fast HTTP/1.1"),
     tab_before_target=line(b"GET\t/v1/models/fast HTTP/1.1"),
     tab_before_version=line(b"GET /v1/models/fast\tHTTP/1.1"),
     vertical_tab=line(b"GET\x0b/v1/models/fast HTTP/1.1"),
     form_feed=line(b"GET\x0c/v1/models/fast HTTP/1.1"),
     no_break_space=line(b"GET\xa0/v1/models/fast HTTP/1.1"),
     space_in_target=line(b"GET /v1/models/ fast HTTP/1.1"),
     no_target=line(b"GET HTTP/1.1"), empty_target=line(b"GET  HTTP/1.1"),
     method_alone=line(b"GET"), header_as_first_line=head(HOST, AUTH),
     two_empty_lines_before=b"\r\n\r\n" + get())
same("400 close", "9112 3", "a method is a token, a line holds no control bytes",
     method_with_at=line(b"G@T /v1/models/fast HTTP/1.1"),
     method_with_bracket=line(b"GET[ /v1/models/fast HTTP/1.1"),
     method_with_slash=line(b"GET/ /v1/models/fast HTTP/1.1"),
     method_with_colon=line(b"GET: /v1/models/fast HTTP/1.1"),
     method_above_127=line(b"G\xcbT /v1/models/fast HTTP/1.1"),
     nul_in_method=line(b"G\0T /v1/models/fast HTTP/1.1"),
     nul_in_target=line(b"GET /v1/models/f\0st HTTP/1.1"),
     bell_in_target=line(b"GET /v1/models/f\x07st HTTP/1.1"),
     del_in_target=line(b"GET /v1/models/f\x7fst HTTP/1.1"),
     cr_in_target=line(b"GET /v1/models/f\rst HTTP/1.1"),
     text_above_127_in_target=line("GET /v1/models/fäst HTTP/1.1".encode()),
     binary=bytes(range(128, 256)) * 4 + b"\r\n\r\n",
     tls=bytes.fromhex("16030100c8010000c40303") + b"\0" * 200 + b"\r\n\r\n",
     lf_first=b"\n" + get(), cr_first=b"\r" + get())
same("200 open", "9112 3.2", "both forms of a target that an origin serves",
     absolute=line(b"GET http://synq/v1/models/fast HTTP/1.1"),
     absolute_in_capitals=line(b"GET HTTP://SYNQ:80/v1/models/fast HTTP/1.1"),
     absolute_of_https=line(b"GET https://synq/v1/models/fast HTTP/1.1"),
     absolute_of_an_ip=line(b"GET http://[::1]:8080/v1/models/fast HTTP/1.1"))
vector("absolute_against_host", head(b"GET http://other/v1/models/fast HTTP/1.1", HOST, AUTH),
       "200 open", "9112 3.2.2", "the target's host counts and Host is ignored; we serve any")
same("404 open", "9110 4.2.3", "an empty path is /, which is no route",
     absolute_without_path=line(b"GET http://synq HTTP/1.1"),
     absolute_with_query_only=line(b"GET http://synq?a HTTP/1.1"), root=line(b"GET / HTTP/1.1"))
same("400 close", "9112 3.2", "no form of a target, or not of this method",
     relative=line(b"GET v1/models/fast HTTP/1.1"), asterisk_of_get=line(b"GET * HTTP/1.1"),
     asterisk_with_more=line(b"OPTIONS *x HTTP/1.1"), authority_of_get=line(b"GET synq:80 HTTP/1.1"),
     other_scheme=line(b"GET ftp://synq/v1/models/fast HTTP/1.1"),
     scheme_with_one_slash=line(b"GET http:/v1/models/fast HTTP/1.1"),
     fragment=line(b"GET /v1/models/fast#a HTTP/1.1"),
     query_alone=line(b"GET ?a HTTP/1.1"), backslashes=line(b"GET \\v1\\models HTTP/1.1"))
same("400 close", "9110 4.2", "an authority must be one, and no user in it",
     absolute_without_host=line(b"GET http:///v1/models/fast HTTP/1.1"),
     absolute_with_user=line(b"GET http://me@synq/v1/models/fast HTTP/1.1"),
     absolute_with_two_ports=line(b"GET http://synq:1:2/v1/models/fast HTTP/1.1"),
     absolute_with_port_of_letters=line(b"GET http://synq:http/v1/models/fast HTTP/1.1"),
     absolute_of_a_port=line(b"GET http://:80/v1/models/fast HTTP/1.1"),
     absolute_with_backslash=line(b"GET http://synq\\v1/models HTTP/1.1"))
same("404 open", "9110 4.1", "a path is compared as it came: nothing is resolved or cleaned",
     dots=line(b"GET /v1/x/../models/fast HTTP/1.1"), one_dot=line(b"GET /./v1/models HTTP/1.1"),
     encoded_dots=line(b"GET /v1/%2e%2e/livez HTTP/1.1"),
     two_slashes=line(b"GET //v1/models HTTP/1.1"), other_case=line(b"GET /V1/Models HTTP/1.1"),
     bad_encoding=line(b"GET /v1/models/%zz HTTP/1.1"), encoded_nul=line(b"GET /v1/models/%00 HTTP/1.1"),
     visible_marks=line(b"GET /v1/models/<\"{|}^`> HTTP/1.1"))
same("505 close", "9110 15.6.6", "only 1.0 and 1.1 are spoken; ours for 1.2, which nobody means",
     version_2=line(b"GET /v1/models/fast HTTP/2.0"), version_3=line(b"GET /v1/models/fast HTTP/3.0"),
     version_0_9=line(b"GET /v1/models/fast HTTP/0.9"), version_1_2=line(b"GET /v1/models/fast HTTP/1.2"),
     version_9_9=line(b"GET /v1/models/fast HTTP/9.9"),
     preface_of_http_2=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
same("400 close", "9112 2.3", "a version is HTTP/, a digit, a dot and a digit",
     no_version=line(b"GET /v1/models/fast"), version_in_small_letters=line(b"GET /v1/models/fast http/1.1"),
     version_with_two_digits=line(b"GET /v1/models/fast HTTP/1.11"),
     version_with_zeros=line(b"GET /v1/models/fast HTTP/01.1"),
     version_without_minor=line(b"GET /v1/models/fast HTTP/1"),
     version_with_a_comma=line(b"GET /v1/models/fast HTTP/1,1"),
     version_with_a_space=line(b"GET /v1/models/fast HTTP/ 1.1"),
     version_of_another_name=line(b"GET /v1/models/fast HTTQ/1.1"),
     version_of_letters=line(b"GET /v1/models/fast HTTP/a.b"))
vector("line_of_8192", line(b"GET /v1/models/fast?" + b"a" * (8192 - 31) + b" HTTP/1.1"),
       "200 open", "9112 3", "a line of 8,000 bytes must be taken; ours is 8,192")
same("414 close", "9110 15.5.15", "a longer line is refused before it ends",
     line_of_8193=line(b"GET /v1/models/fast?" + b"a" * (8192 - 30) + b" HTTP/1.1"),
     line_of_60000=line(b"GET /v1/models/fast?" + b"a" * 60000 + b" HTTP/1.1"),
     line_without_end=b"GET /" + b"a" * 9000)

# ---- methods

same("501 open", "9110 9.1", "no such method; methods are compared with case",
     unknown_method=line(b"BREW /v1/models HTTP/1.1"), method_in_small_letters=line(b"get /v1/models HTTP/1.1"),
     unknown_method_of_no_route=line(b"BREW /nothing HTTP/1.1"),
     method_with_more=line(b"GETX /v1/models HTTP/1.1"),
     webdav=line(b"PROPFIND /v1/models HTTP/1.1"))
same("501 close", "9110 9.3.6", "no proxy; whatever follows CONNECT is no HTTP",
     connect=line(b"CONNECT synq:443 HTTP/1.1"), connect_of_a_path=line(b"CONNECT /v1/models HTTP/1.1"))
vector("method_of_40", line(b"A" * 40 + b" /v1/models HTTP/1.1"), "501 close", "9112 3",
       "longer than any method there is")
same("405 open", "9110 15.5.6", "the method exists, not here; Allow says which do",
     get_of_a_post=line(b"GET /v1/chat/completions HTTP/1.1"),
     delete_of_a_list=line(b"DELETE /v1/jobs HTTP/1.1"), put_of_a_list=line(b"PUT /v1/models HTTP/1.1"),
     patch_of_a_job=line(b"PATCH /v1/jobs/job_x HTTP/1.1"),
     post_of_a_get=post(length(2), line=b"POST /v1/models HTTP/1.1", body=b"{}"))
vector("head_of_a_post", line(b"HEAD /v1/completions HTTP/1.1"), "405- open", "9110 9.3.2",
       "as GET there, without the body")
vector("trace", line(b"TRACE /v1/models HTTP/1.1"), "405 open", "9110 9.3.8",
       "a client's headers hold its key: they are never sent back")
for path in ("/v1", "/v1/", "/v2/models", "/v1/jobs/", "/v1/chat", "/v1/jobs/a/b/c", "/v1/images/generations",
             "/../../etc/passwd", "/livez/"):
    vector(f"no_route_{path}", line(f"GET {path} HTTP/1.1".encode()), "404 open", "9110 15.5.5", "no such route")
same("404 open", "9110 15.5.5", "no such route",
     no_route=line(b"GET /v1/nothing HTTP/1.1"), post_of_no_route=post(length(2), line=b"POST /x HTTP/1.1", body=b"{}"),
     options_of_no_route=line(b"OPTIONS /v1/nothing HTTP/1.1"))
same("204- open", "9110 9.3.7", "what is allowed, of a route and of the server",
     options=line(b"OPTIONS /v1/jobs HTTP/1.1"), options_of_all=line(b"OPTIONS * HTTP/1.1"))
for path, status in (("/v1/models", 200), ("/v1/models/fast", 200), ("/v1/jobs", 200),
                     ("/v1/jobs/job_x", 404), ("/v1/jobs/job_x/result", 404), ("/livez", 200),
                     ("/readyz", 200), ("/metrics", 200), ("/v1/nothing", 404)):
    vector(f"head_{path}", line(f"HEAD {path} HTTP/1.1".encode()), f"{status}- open", "9110 9.3.2",
           "HEAD is GET without the body")
vector("head_refused", head(b"HEAD /v1/models HTTP/1.1", b"host : synq"), "400- close", "9110 9.3.2",
       "a refusal of HEAD has no body either")

# ---- Host

for name, fields in {
        "host_missing": (), "host_twice": (HOST, HOST), "host_twice_different": (HOST, b"host: other"),
        "host_empty": (b"host:",), "host_of_blanks": (b"host:   ",)}.items():
    vector(name, head(LINE, *fields, AUTH), "400 close", "9112 3.2", "exactly one, and one that names something")
for name, value in {
        "user": b"me@synq", "path": b"synq/x", "query": b"synq?x", "list": b"synq, other",
        "space": b"synq other", "port_of_letters": b"synq:x", "two_ports": b"synq:1:2", "only_port": b":80",
        "open_bracket": b"[::1", "empty_bracket": b"[]", "behind_bracket": b"[::1]x", "encoded": b"s%79nq",
        "scheme": b"http://synq", "quote": b'"synq"', "above_127": b"s\xc3\xa4", "backslash": b"synq\\x",
        "control": b"sy\x01nq", "nul": b"sy\0nq"}.items():
    vector(f"host_with_{name}", head(LINE, b"host: " + value, AUTH), "400 close", "9112 3.2",
           "a value that is no host with port is 400")
for name, value in {"port": b"synq:8080", "ipv4": b"127.0.0.1:80", "ipv6": b"[2001:db8::1]:80",
                    "empty_port": b"synq:", "underscore": b"a_b.example"}.items():
    vector(f"host_with_{name}", head(LINE, b"host: " + value, AUTH), "200 open", "9110 7.2", "a host")
vector("host_missing_in_1_0", head(b"GET /v1/models/fast HTTP/1.0", AUTH), "200 close", "9112 3.2",
       "1.0 does not need it")
vector("host_twice_in_1_0", head(b"GET /v1/models/fast HTTP/1.0", HOST, HOST, AUTH), "400 close", "9112 3.2",
       "more than one is 400 in any version")
vector("host_missing_of_absolute", head(b"GET http://synq/v1/models/fast HTTP/1.1", AUTH), "400 close",
       "9112 3.2.2", "Host is due with an absolute target too")

# ---- header syntax

same("400 close", "9112 5.1", "no space between name and colon",
     space_before_colon=get(b"x-a : b"), tab_before_colon=get(b"x-a\t: b"),
     space_before_colon_of_length=post(b"content-length : 11", body=BODY),
     space_before_colon_of_coding=post(b"transfer-encoding : chunked", body=LAST))
same("400 close", "9112 5.2", "a folded line is refused",
     folded=get(b"x-a: b", b" c"), folded_by_tab=get(b"x-a: b", b"\tc"),
     folded_first=head(LINE, b" x-a: b", HOST, AUTH), folded_coding=post(b"transfer-encoding:", b" chunked", body=LAST),
     folded_blank=get(b"x-a: b", b" "))
same("400 close", "9112 2.2", "lines end with CR LF: neither alone",
     lf_everywhere=get().replace(b"\r\n", b"\n"), lf_behind_line=get().replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n"),
     lf_behind_field=get(b"x-a: b\nx-b: c"), lf_at_the_end=get()[:-2] + b"\n",
     cr_in_value=get(b"x-a: b\rc"), cr_hides_coding=post(b"x-a: b\rtransfer-encoding: chunked", body=LAST),
     cr_cr_lf=get(b"x-a: b\r"), cr_alone_ends_head=get()[:-2] + b"\r" + get(),
     lf_cr=get(b"x-a: b\n\rx-b: c"))
same("400 close", "9110 5.1", "a name is a token",
     empty_name=get(b": b"), no_colon=get(b"nothing"), only_colon=get(b":"), space_in_name=get(b"x a: b"),
     bracket_in_name=get(b"x(a): b"), quote_in_name=get(b'"x": b'), slash_in_name=get(b"x/a: b"),
     at_in_name=get(b"x@a: b"), above_127_in_name=get(b"x\xe4: b"), nul_in_name=get(b"x\0: b"),
     equals_in_name=get(b"x=a: b"), bell_in_name=get(b"x\x07: b"))
for byte in (*range(0, 9), *range(11, 13), *range(14, 32), 127):
    vector(f"byte_{byte:02x}_in_value", get(b"x-a: b" + bytes([byte]) + b"c"), "400 close", "9110 5.5",
           "a value holds no control bytes but tab")
same("200 open", "9110 5.3", "fields that mean nothing to us mean nothing",
     unknown_field=get(b"x-unknown: y"), same_field_twice=get(b"x-a: b", b"x-a: c"),
     upgrade=get(b"upgrade: websocket", b"connection: upgrade"),
     upgrade_to_2=get(b"upgrade: h2c", b"connection: upgrade, http2-settings", b"http2-settings: AAMAAABkAAQAAP__"),
     te=get(b"te: trailers, deflate"), range=get(b"range: bytes=0-1"), max_forwards=get(b"max-forwards: 0"),
     accept_nothing=get(b"accept: image/png"), forwarded=get(b"x-forwarded-for: 1.2.3.4", b"forwarded: for=1.2.3.4"),
     method_override=get(b"x-http-method-override: DELETE"), rewritten=get(b"x-original-url: /livez"),
     content_type_of_get=get(b"content-type: text/plain"),
     if_none_match=get(b'if-none-match: "x"'), cookie=get(b"cookie: a=b"))
vector("key_twice", head(LINE, HOST, AUTH, AUTH), "401 open", "9110 5.3", "two credentials are none")
vector("fields_100", get(*[b"x: y"] * 98), "200 open", "ours", "100 fields are taken")
vector("header_of_32000", get(b"x: " + b"y" * 31900), "200 open", "ours", "up to 32 KiB")
same("431 close", "ours", "no more than 100 fields and 32 KiB",
     fields_101=get(*[b"x: y"] * 99), fields_5000=get(*[b"x: y"] * 5000), header_of_33000=get(b"x: " + b"y" * 33000),
     header_of_60000=get(b"x: " + b"y" * 60000), name_of_33000=get(b"x" * 33000 + b": y"))

# ---- framing: lengths

vector("length", post(length(11), body=BODY), "400 open whole", "9112 6.2", "a body by its length")
vector("length_0", post(length(0)), "400 open", "9112 6.2", "an empty body, which is no JSON")
vector("length_with_zeros", post(length(b"000011"), body=BODY), "400 open whole", "9110 8.6", "digits, all the same")
vector("length_with_blanks", post(length(b" \t11 \t"), body=BODY), "400 open whole", "9110 5.5",
       "white space around a value is not part of it")
vector("length_of_get", get(length(5)) + b"hello", "200 open", "9110 9.3.1", "a body of GET is read and means nothing")
vector("length_of_18_digits", post(length(b"9" * 18)), "413 close", "9110 15.5.14", "told before a byte is read")
vector("length_above_the_limit", post(length((1 << 20) + 1)), "413 close", "9110 15.5.14", "told before a byte is read")
for name, value in {
        "plus": b"+11", "minus": b"-11", "minus_0": b"-0", "hex": b"0xb", "hex_digits": b"b", "octal": b"0o13", "float": b"11.0",
        "exponent": b"1e1", "empty": b"", "blank": b"  ", "letters": b"eleven", "inner_space": b"1 1",
        "list_equal": b"11, 11", "list_different": b"11, 5", "list_empty": b"11,", "comma_first": b",11",
        "digits_19": b"0000000000000000011", "digits_20": b"18446744073709551627", "digits_100": b"1" * 100,
        "underscore": b"1_1", "quotes": b'"11"', "semicolon": b"11;a=b", "full_width": "１１".encode(),
        "arabic": "١١".encode(), "nul": b"11\0", "vertical_tab": b"\x0b11"}.items():
    vector(f"length_{name}", post(length(value), body=BODY), "400 close", "9112 6.3",
           "1 to 18 digits and nothing else")
same("400 close", "9112 6.3", "two of them, also when they agree",
     length_twice=post(length(11), length(11), body=BODY), length_twice_different=post(length(11), length(5), body=BODY),
     length_0_and_11=post(length(0), length(11), body=BODY))

# ---- framing: chunks

vector("chunked", chunks(b"b\r\n" + BODY + b"\r\n" + LAST), "400 open whole", "9112 7.1", "a body in a chunk")
vector("chunked_in_many", chunks(b"".join(b"1\r\n%c\r\n" % c for c in BODY) + LAST), "400 open whole", "9112 7.1",
       "and in eleven")
vector("chunked_in_capitals", post(b"Transfer-Encoding: CHUNKED", body=b"B\r\n" + BODY + b"\r\n" + LAST),
       "400 open whole", "9112 7", "codings and digits in any case")
vector("chunked_empty", chunks(LAST), "400 open", "9112 7.1", "no body at all")
vector("chunked_of_get", get(TE) + b"5\r\nhello\r\n" + LAST, "200 open", "9110 9.3.1", "read and thrown away")
vector("chunk_size_of_16", chunks(b"000000000000000b\r\n" + BODY + b"\r\n" + LAST), "400 open whole", "ours",
       "up to 16 digits")
vector("last_chunk_of_zeros", chunks(b"b\r\n" + BODY + b"\r\n0000\r\n\r\n"), "400 open whole", "9112 7.1", "any zero")
same("400 open whole", "9112 7.1.1", "extensions are skipped",
     extension=chunks(b"b;a=b\r\n" + BODY + b"\r\n0;c\r\n\r\n"),
     extension_in_quotes=chunks(b'b;a="b;c d"\r\n' + BODY + b"\r\n" + LAST),
     extension_of_256=chunks(b"b;" + b"e" * 256 + b"\r\n" + BODY + b"\r\n" + LAST))
same("400 open whole", "9112 7.1.2", "trailers are dropped, whatever they say",
     trailer=chunks(b"b\r\n" + BODY + b"\r\n0\r\nx-a: b\r\n\r\n"),
     trailer_of_length=chunks(b"b\r\n" + BODY + b"\r\n0\r\ncontent-length: 500\r\n\r\n"),
     trailer_of_coding=chunks(b"b\r\n" + BODY + b"\r\n0\r\ntransfer-encoding: gzip\r\nhost: x\r\n\r\n"),
     trailer_of_close=chunks(b"b\r\n" + BODY + b"\r\n0\r\nconnection: close\r\n\r\n"),
     trailer_of_key=chunks(b"b\r\n" + BODY + b"\r\n0\r\nauthorization: Bearer x\r\n\r\n"))
for name, text in {
        "0x": b"0xb\r\n", "plus": b"+b\r\n", "minus": b"-b\r\n", "empty": b"\r\n", "letters": b"xyz\r\n", "underscore": b"0_b\r\n",
        "space_before": b" b\r\n", "space_behind": b"b \r\n", "tab_behind": b"b\t\r\n", "digits_17": b"0000000000000000b\r\n",
        "lf_alone": b"b\n", "cr_alone": b"b\r", "cr_cr_lf": b"b\r\r\n", "extension_empty": b"b;\r\n",
        "extension_of_257": b"b;" + b"e" * 257 + b"\r\n", "extension_with_lf": b"b;a\nb\r\n", "extension_with_cr": b"b;a\rb\r\n",
        "extension_with_nul": b"b;a\0\r\n", "space_and_extension": b"b ;a\r\n", "extension_and_space": b"b; a\r\n",
        "comma": b"b,b\r\n", "equals": b"b=1\r\n", "quote": b'"b"\r\n', "nul": b"b\0\r\n", "float": b"b.0\r\n",
        "full_width": "１".encode() + b"\r\n"}.items():
    vector(f"chunk_size_{name}", chunks(text + BODY + b"\r\n" + LAST), "400 close", "9112 7.1",
           "a size is hexadecimal digits, then CR LF; ours: no space around them")
same("400 close", "9112 7.1", "chunks are exactly as long as they say, and end with CR LF",
     chunk_longer=chunks(b"5\r\nhelloo\r\n" + LAST), chunk_shorter=chunks(b"6\r\nhello\r\n" + LAST),
     chunk_ends_with_lf=chunks(b"5\r\nhello\n" + LAST), chunk_ends_with_cr=chunks(b"5\r\nhello\r0\r\n\r\n"),
     chunk_without_end=chunks(b"5\r\nhello0\r\n\r\n"), last_ends_with_lf=chunks(b"0\r\n\n"),
     last_ends_with_cr=chunks(b"0\r\n\rx"), last_with_data=chunks(b"0\r\nhello\r\n\r\n"))
same("400 close", "9112 7.1.2", "a trailer is a header line",
     trailer_folded=chunks(b"0\r\nx: a\r\n b\r\n\r\n"), trailer_without_colon=chunks(b"0\r\nxyz\r\n\r\n"),
     trailer_without_name=chunks(b"0\r\n: x\r\n\r\n"), trailer_space_before_colon=chunks(b"0\r\nx : y\r\n\r\n"),
     trailer_with_lf=chunks(b"0\r\nx: y\n\r\n"), trailer_with_nul=chunks(b"0\r\nx: \0\r\n\r\n"),
     trailer_with_cr=chunks(b"0\r\nx: a\rb\r\n\r\n"), trailers_of_9000=chunks(b"0\r\nx: " + b"y" * 9000 + b"\r\n\r\n"),
     trailers_2000=chunks(b"0\r\n" + b"x: y\r\n" * 2000 + b"\r\n"))
same("413 close", "9110 15.5.14", "told as soon as the size is",
     chunk_of_16_f=chunks(b"f" * 16 + b"\r\nx"), chunk_of_17_f=chunks(b"f" * 17 + b"\r\nx"),
     chunk_above_the_limit=chunks(b"100001\r\nx"), second_chunk_above=chunks(b"1\r\nx\r\n100000\r\n"))

# ---- framing: codings, and both

for name, value in {
        "xchunked": b"xchunked", "chunkedx": b"chunkedx", "chunked_twice": b"chunked, chunked", "not_last": b"chunked, gzip",
        "not_last_identity": b"chunked, identity", "identity": b"identity", "gzip": b"gzip", "empty": b"", "comma": b",",
        "empty_behind": b"chunked,", "empty_before": b", chunked", "quoted": b'"chunked"', "single_quoted": b"'chunked'",
        "parameter": b"chunked;q=1", "space_inside": b"chun ked", "nul": b"chunked\0", "vertical_tab": b"\x0bchunked",
        "form_feed": b"\x0cchunked", "above_127": b"chunked\xa0", "kelvin": "chun\u212aed".encode(), "slash": b"chunked/1",
        "semicolon": b";chunked", "equals": b"chunked=1", "colon": b": chunked"}.items():
    vector(f"coding_{name}", post(b"transfer-encoding: " + value, body=b"b\r\n" + BODY + b"\r\n" + LAST),
           "400 close", "9112 6.3", "not chunked at the end and once: nobody can tell where the body ends")
same("501 close", "9112 6.1", "a coding under chunked that is not known",
     coding_gzip_chunked=post(b"transfer-encoding: gzip, chunked", body=LAST),
     coding_identity_chunked=post(b"transfer-encoding: identity, chunked", body=LAST),
     coding_unknown_chunked=post(b"transfer-encoding: x;a=b, chunked", body=LAST))
same("400 close", "9112 6.1", "two fields of it",
     coding_twice=post(TE, TE, body=LAST), coding_gzip_then_chunked=post(b"transfer-encoding: gzip", TE, body=LAST),
     coding_chunked_then_identity=post(TE, b"transfer-encoding: identity", body=LAST))
same("400 close", "9112 6.3", "a length and a coding: one of them lies",
     length_then_coding=post(length(5), TE, body=LAST), coding_then_length=post(TE, length(5), body=LAST),
     length_0_then_coding=post(length(0), TE, body=LAST), coding_then_bad_length=post(TE, length(b"x"), body=LAST),
     length_then_unknown_coding=post(length(5), b"transfer-encoding: x", body=LAST),
     both_of_get=get(length(5), TE) + LAST)
same("400 close", "9112 6.1", "1.0 has no codings",
     coding_in_1_0=post(TE, body=LAST, line=b"POST /v1/jobs HTTP/1.0"),
     both_in_1_0=post(length(5), TE, body=LAST, line=b"POST /v1/jobs HTTP/1.0"))
same("411 open", "9110 15.5.12", "a body is needed and none is announced",
     no_length=post(), no_length_of_chat=post(line=b"POST /v1/chat/completions HTTP/1.1"),
     length_named_otherwise=post(b"content_length: 11"))
vector("no_length_in_1_0", post(line=b"POST /v1/jobs HTTP/1.0"), "411 close", "9110 15.5.12", "in 1.0 as well")
vector("no_length_where_none_is_needed", post(line=b"POST /v1/jobs/job_x/cancel HTTP/1.1"), "404 open", "9112 6.3",
       "without both there is no body; this route needs none")
vector("connection_hides_length", post(length(11), b"connection: content-length", body=BODY), "400 open whole",
       "9110 7.6.1", "what Connection names matters to proxies only")
vector("connection_hides_coding", chunks(b"b\r\n" + BODY + b"\r\n" + LAST, b"connection: transfer-encoding"),
       "400 open whole", "9110 7.6.1", "the same of chunked")

# ---- what a body is

for name, value in {"text": b"text/plain", "form": b"application/x-www-form-urlencoded", "empty": b"",
                    "multipart": b"multipart/form-data; boundary=x", "jsonl": b"application/jsonl", "star": b"*/*",
                    "latin1": b"application/json; charset=iso-8859-1", "utf_16": b"application/json;charset=utf-16",
                    "utf_16_in_quotes": b'application/json; charset="utf-16"', "second": b"application/json; a=b; charset=utf-7",
                    "list": b"application/json, text/plain"}.items():
    vector(f"type_{name}", head(POST, HOST, AUTH, b"content-type: " + value, length(11)) + BODY, "415 open",
           "9110 15.5.16", "JSON in UTF-8 and nothing else")
for name, value in {"utf_8": b"application/json; charset=utf-8", "capitals": b"Application/JSON;Charset=UTF-8",
                    "in_quotes": b'application/json; charset="UTF-8"', "with_parameter": b"application/json; a=b"}.items():
    vector(f"type_{name}", head(POST, HOST, AUTH, b"content-type: " + value, length(11)) + BODY, "400 open whole",
           "9110 8.3", "JSON in UTF-8")
vector("type_missing", head(POST, HOST, AUTH, length(11)) + BODY, "400 open whole", "9110 8.3",
       "without a type a recipient may look at the content; it is JSON or refused")
vector("type_twice", head(POST, HOST, AUTH, JSON, b"content-type: text/plain", length(11)) + BODY, "415 open", "9110 8.3",
       "two types are none")
same("415 open", "9110 15.5.16", "no content coding; Accept-Encoding says so",
     encoded_gzip=post(b"content-encoding: gzip", length(11), body=BODY),
     encoded_br=post(b"content-encoding: br", length(11), body=BODY),
     encoded_twice=post(b"content-encoding: identity", b"content-encoding: gzip", length(11), body=BODY))
vector("encoded_identity", post(b"content-encoding: identity", length(11), body=BODY), "400 open whole", "9110 8.4.1",
       "no coding at all")

# ---- Expect

ASK = b"expect: 100-continue"
vector("continue", post(length(11), ASK, body=b"@WAIT@" + BODY), "100 400 open whole", "9110 10.1.1",
       "asked for the body, then judged")
vector("continue_chunked", chunks(b"@WAIT@b\r\n" + BODY + b"\r\n" + LAST, ASK), "100 400 open whole", "9110 10.1.1",
       "the same in chunks")
vector("continue_in_capitals", post(length(11), b"Expect: 100-Continue", body=b"@WAIT@" + BODY), "100 400 open whole",
       "9110 10.1.1", "compared without case")
vector("continue_without_key", head(POST, HOST, JSON, length(11), ASK) + b"@WAIT@", "401 close", "ours",
       "nobody is asked for a body before it is known who they are")
vector("continue_with_new_bad_key", head(POST, HOST, b"authorization: Bearer @BADKEY@", JSON, length(11), ASK) + b"@WAIT@",
       "401 close", "ours", "also when the key must be looked up first")
vector("continue_above_the_limit", post(length(2 << 20), ASK, body=b"@WAIT@"), "413 close", "9110 10.1.1",
       "the final status at once, instead of 100")
vector("continue_of_the_wrong_type", head(POST, HOST, AUTH, b"content-type: text/plain", length(11), ASK) + b"@WAIT@",
       "415 close", "9110 10.1.1", "the same")
vector("continue_of_no_route", post(length(11), ASK, body=b"@WAIT@", line=b"POST /nothing HTTP/1.1"), "404 close",
       "9110 10.1.1", "the same; whether the body comes is not known, so it ends")
vector("continue_without_body", get(ASK), "200 open", "9110 10.1.1", "there is no body to ask for")
vector("continue_in_1_0", post(length(11), ASK, body=BODY, line=b"POST /v1/jobs HTTP/1.0"), "400 close whole",
       "9110 10.1.1", "1.0 cannot be asked: ignored")
same("417 close", "9110 15.5.18", "no other expectation is known",
     expect_other=post(length(11), b"expect: miracles", body=BODY), expect_empty=get(b"expect:"),
     expect_list=get(b"expect: 100-continue, 100-continue"), expect_with_parameter=get(b"expect: 100-continue;a=b"),
     expect_more=get(b"expect: 100-continued"))

# ---- Connection

same("200 close", "9112 9.6", "the client wants to end",
     close=get(b"connection: close"), close_in_capitals=get(b"Connection: CLOSE"),
     close_in_a_list=get(b"connection: x, close ,y"), close_in_second_field=get(b"connection: x", b"connection: close"),
     close_against_keep=get(b"connection: keep-alive, close"))
same("200 open", "9112 9.3", "1.1 goes on unless told otherwise",
     keep=get(b"connection: keep-alive"), closed=get(b"connection: closed"), close_quoted=get(b'connection: "close"'),
     connection_empty=get(b"connection:"), connection_of_commas=get(b"connection: ,,,"),
     proxy_connection=get(b"proxy-connection: close"))
same("200 close", "9112 9.3", "1.0 ends; going on by keep-alive is a may",
     version_1_0=get(line=b"GET /v1/models/fast HTTP/1.0"),
     keep_in_1_0=get(b"connection: keep-alive", line=b"GET /v1/models/fast HTTP/1.0"))

# ---- several requests

vector("pipelined", get() + line(b"GET /v1/nothing HTTP/1.1") + post(length(11), body=BODY) + get(), "200 404 400 200 open",
       "9112 9.3.2", "answered in order")
vector("pipelined_50", get() * 50, "200 " * 50 + "open", "9112 9.3.2", "many")
vector("pipelined_posts", post(length(11), body=BODY) * 3 + chunks(b"b\r\n" + BODY + b"\r\n" + LAST) * 3, "400 " * 6 + "open",
       "9112 9.3.2", "bodies of both kinds in between")
vector("pipelined_heads", line(b"HEAD /v1/models/fast HTTP/1.1") * 3 + get(), "200- 200- 200- 200 open", "9112 9.3.2",
       "without bodies nothing shifts")
vector("pipelined_and_broken", get() + get(b"x : y") + get(), "200 400 close", "9112 9.3.2",
       "nothing behind an error is taken for a request")
vector("pipelined_and_closed", get() + get(b"connection: close") + get(), "200 200 close", "9112 9.6", "nor behind close")
vector("refused_body_is_skipped", post(length(11), body=BODY, line=b"POST /nothing HTTP/1.1") + get(), "404 200 open", "9112 9.3",
       "an early answer leaves no body that is read as a request")
vector("refused_body_that_looks_like_a_request",
       post(length(len(LINE) + 21), body=LINE + b"\r\nhost: synq\r\nx: abcd", line=b"POST /nothing HTTP/1.1"), "404 open",
       "9112 9.3", "the same")
vector("refused_chunks_end_it", head(b"POST /nothing HTTP/1.1", HOST, TE) + b"5\r\nhello\r\n" + LAST, "404 close", "9112 9.3",
       "of unknown length: not waited for")
vector("request_and_fin", get() + b"@FIN@", "200 close", "9112 9.6",
       "half a close behind a request that is answered at once does not lose the answer")
vector("fin_in_head", get()[:-4] + b"@FIN@", "close", "9112 8", "an incomplete head is no request")
vector("fin_in_body", post(length(11), body=BODY[:5] + b"@FIN@"), "close", "9112 8", "an incomplete body is no request")
vector("fin_in_chunks", chunks(b"b\r\n" + BODY + b"\r\n@FIN@"), "close", "9112 8", "without the last chunk it is incomplete")

# ---- one request in another: what an intermediary may have seen otherwise

INNER = b"GET /v1/models HTTP/1.1\r\nhost: synq\r\n\r\n"
same("400 close", "9112 11.2", "read otherwise, the body would be a request",
     smuggled_by_both=post(length(len(INNER) + 5), TE, body=LAST + INNER),
     smuggled_by_lengths=post(length(0), length(len(INNER)), body=INNER),
     smuggled_by_lf_coding=post(b"x: y\ntransfer-encoding: chunked", length(len(INNER) + 5), body=LAST + INNER),
     smuggled_by_tab_coding=post(b"transfer-encoding\t: chunked", length(len(INNER) + 5), body=LAST + INNER),
     smuggled_by_extension=chunks(b"2;\nxx\r\n%x\r\n" % len(INNER) + INNER),
     smuggled_by_folded_length=post(b"content-length:", b" 0", body=INNER),
     smuggled_by_prefix=post(b"\x00content-length: 0", TE, body=LAST + INNER),
     smuggled_by_dash=post(b"content-length: 0\x0d", TE, body=LAST + INNER))
vector("underscored_coding", post(b"transfer_encoding: chunked", length(11), body=BODY), "400 open whole", "9110 5.1",
       "another name: the length counts")
vector("x_coding", post(b"x-transfer-encoding: chunked", length(11), body=BODY), "400 open whole", "9110 5.1", "the same")
