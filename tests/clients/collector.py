"""A collector of traces: OpenTelemetry's own messages, taken by gRPC. Says where it is, then each span it is sent as a line of JSON.

Its arguments: a port (0: a free one), and for TLS the files of a certificate and its key.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


def plain(value):
    return getattr(value, value.WhichOneof("value"))


def attributes(pairs):
    return {pair.key: plain(pair.value) for pair in pairs}


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        fields = dict(context.invocation_metadata())
        for resource in request.resource_spans:
            about = attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    say(span, about, scope.scope.name, fields)
        return trace_service_pb2.ExportTraceServiceResponse()


def say(span, about, scope, fields):
    line = {
        "trace": span.trace_id.hex(),
        "span": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "state": span.trace_state,
        "name": span.name,
        "kind": {2: "server", 3: "client"}.get(span.kind, span.kind),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "attributes": attributes(span.attributes),
        "links": [{"trace": link.trace_id.hex(), "span": link.span_id.hex()} for link in span.links],
        "error": span.status.code == 2,
        "resource": about,
        "scope": scope,
        "fields": fields,
    }
    print(json.dumps(line), flush=True)


server = grpc.server(ThreadPoolExecutor(2))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
address = f"127.0.0.1:{sys.argv[1]}"
if len(sys.argv) > 2:
    certificate, key = (open(name, "rb").read() for name in sys.argv[2:4])
    port = server.add_secure_port(address, grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = server.add_insecure_port(address)
server.start()
print(f"ready {port}", flush=True)
server.wait_for_termination()
