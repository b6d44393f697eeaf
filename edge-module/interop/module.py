"""Microsoft's module client as a neighbour of the module, on the same edgeHub.

    module.py OUTPUT

Connects by the IOTEDGE_ variables of its environment, and prints a JSON object per line: {"twin"} once it is connected, {"input",
"id", "type", "encoding", "properties", "body"} for each message. Each line of JSON on standard input, {"id", "properties", "body"},
is sent as a message on OUTPUT, and then printed as {"sent"}; {"device", "module", "call"} calls another module's method through the
gateway, and prints the {"answer"}. It ends with its input. Needs azure-iot-device (scripts/azure-python.sh makes a Python that has it).
"""

import json
import sys

from azure.iot.device import IoTHubModuleClient, Message


def show(what):
    print(json.dumps(what), flush=True)


def received(message):
    show(
        {
            "input": message.input_name,
            "id": message.message_id,
            "type": message.content_type,
            "encoding": message.content_encoding,
            "properties": message.custom_properties,
            "body": json.loads(message.data),
        }
    )


output = sys.argv[1]
client = IoTHubModuleClient.create_from_edge_environment()
client.connect()
client.on_message_received = received
show({"twin": client.get_twin()})
for line in sys.stdin:
    given = json.loads(line)
    if "call" in given:
        show({"answer": client.invoke_method(given["call"], given["device"], given["module"])})
        continue
    message = Message(json.dumps(given["body"]), content_encoding="utf-8", content_type="application/json")
    message.message_id = given["id"]
    message.custom_properties.update(given["properties"])
    client.send_message_to_output(message, output)
    show({"sent": given["id"]})
client.shutdown()
