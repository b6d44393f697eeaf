"""Microsoft's service SDK as a caller of the module: the steps of an operations file, and the module's twin.

    service.py OPERATIONS DEVICE MODULE

The connection string is in LVA_CONNECTION_STRING, the authority to trust in REQUESTS_CA_BUNDLE. Prints a JSON object for each
step: {"op", "status", "payload"} of a method, {"op", "twin", "etag"} of the twin, or {"op", "error"} with HTTP's status.
Needs azure-iot-hub (scripts/azure-python.sh makes a Python that has it).
"""

import json
import os
import sys

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

operations, device, module = sys.argv[1:]
registry = IoTHubRegistryManager.from_connection_string(os.environ["LVA_CONNECTION_STRING"])


def step(op, call, show):
    try:
        shown = show(call())
    except HttpOperationError as error:
        shown = {"error": error.response.status_code}
    print(json.dumps({"op": op, **shown}), flush=True)
    return shown


def invoke(op, payload):
    method = CloudToDeviceMethod(method_name=op, payload=payload, response_timeout_in_seconds=30)
    step(
        op,
        lambda: registry.invoke_device_module_method(device, module, method),
        lambda answer: {"status": answer.status, "payload": answer.payload},
    )


def twin_of(op, call):
    return step(op, call, lambda twin: {"etag": twin.etag, "twin": twin.as_dict()})


def update(op, desired, etag=None):
    patch = Twin(properties=TwinProperties(desired=desired))
    return twin_of(op, lambda: registry.update_module_twin(device, module, patch, etag))


document = json.load(open(operations))
for operation in document["operations"]:
    name, params = operation["opName"], operation["opParams"]
    if name == "WaitForInput":
        continue
    if "topologyFile" in params:
        # As it is, with its own version.
        invoke(name, json.load(open(params["topologyFile"])))
    else:
        invoke(name, {"@apiVersion": document["apiVersion"], **params})

read = twin_of("read", lambda: registry.get_module_twin(device, module))
if "error" not in read:
    update("update", {"operationalEventsOutputName": "fromTheSdk"})
    update("update of what was read before", {"logLevel": "Error"}, read["etag"])
    replacement = Twin(properties=TwinProperties(desired={"logLevel": "Warning"}))
    twin_of("replace", lambda: registry.replace_module_twin(device, module, replacement))
