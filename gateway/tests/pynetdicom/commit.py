"""An imager that asks for storage commitment, listens for the report, and prints every report as
one line of JSON. Ends after the first report, or when its standard input closes.

commit.py NODE_PORT OWN_PORT TRANSACTION STAY UID...

With TLS_CERTIFICATE, TLS_KEY and TLS_AUTHORITY in its environment it speaks TLS, and demands a certificate.

UID `-`: it associates and asks nothing. STAY: seconds that the asking association stays open. OWN_PORT 0: it cannot be called.
"""

import json
import os
import ssl
import sys
import threading
import time

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

WELL_KNOWN = "1.2.840.10008.1.20.1.1"
OPT = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
node_port, own_port, transaction, stay = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
uids = sys.argv[5:]
told = threading.Event()
# The answer to the question is printed first, however soon the report comes on another thread.
asked = threading.Event()


def reported(via):
    def handle(event):
        info = event.event_information
        line = {
            "via": via,
            "event_type": event.event_type,
            "transaction": info.TransactionUID,
            "committed": [i.ReferencedSOPInstanceUID for i in info.get("ReferencedSOPSequence", [])],
            "failed": [
                [i.ReferencedSOPInstanceUID, i.FailureReason]
                for i in info.get("FailedSOPSequence", [])
            ],
        }
        asked.wait(10)
        print(json.dumps(line), flush=True)
        told.set()
        return 0x0000, None

    return [(evt.EVT_N_EVENT_REPORT, handle)]


def context(purpose):
    if "TLS_KEY" not in os.environ:
        return None
    made = ssl.create_default_context(purpose, cafile=os.environ["TLS_AUTHORITY"])
    made.load_cert_chain(os.environ["TLS_CERTIFICATE"], os.environ["TLS_KEY"])
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    return made


calling = context(ssl.Purpose.SERVER_AUTH)
ae = AE(ae_title="OCT")
ae.add_requested_context(StorageCommitmentPushModel)
# Whoever calls may be the provider.
ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
if own_port:
    ae.start_server(("127.0.0.1", own_port), block=False, evt_handlers=reported("new"),
                    ssl_context=context(ssl.Purpose.CLIENT_AUTH))
if uids:
    association = ae.associate("127.0.0.1", node_port, ae_title="CHIASM", evt_handlers=reported("same"),
                               tls_args=(calling, None) if calling else None)
    assert association.is_established, "the node refuses"
if uids and uids != ["-"]:
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID = OPT
        item.ReferencedSOPInstanceUID = uid
        request.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, WELL_KNOWN)
    print(json.dumps({"asked": status.Status}), flush=True)
asked.set()
if uids:
    told.wait(stay)
    time.sleep(0.2)
    association.release()
threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
told.wait(60)
time.sleep(0.5)
ae.shutdown()
