"""An imager that says that it has begun and ended a procedure (MPPS), and prints the statuses.

step.py NODE_PORT STEP_UID STUDY_UID ACCESSION IMAGE_UID...

With STEP_PART=begin in its environment it only begins, with STEP_PART=end it only ends.
"""

import json
import os
import sys

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep

port, step_uid, study_uid, accession, images = int(sys.argv[1]), *sys.argv[2:5], sys.argv[5:]
ae = AE(ae_title="OCT")
ae.add_requested_context(ModalityPerformedProcedureStep)
association = ae.associate("127.0.0.1", port, ae_title="CHIASM")
assert association.is_established, "the node refuses"

begin = Dataset()
begin.PerformedProcedureStepStatus = "IN PROGRESS"
begin.PerformedProcedureStepID = "1"
begin.Modality = "OPT"
begin.PerformedStationAETitle = "OCT"
begin.PerformedProcedureStepStartDate = "20261130"
begin.PerformedProcedureStepStartTime = "090000"
scheduled = Dataset()
scheduled.StudyInstanceUID = study_uid
scheduled.AccessionNumber = accession
begin.ScheduledStepAttributesSequence = [scheduled]
begin.PerformedSeriesSequence = []

end = Dataset()
end.PerformedProcedureStepStatus = "COMPLETED"
series = Dataset()
series.SeriesInstanceUID = "1.2.3.4"
series.ReferencedImageSequence = []
for uid in images:
    image = Dataset()
    image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
    image.ReferencedSOPInstanceUID = uid
    series.ReferencedImageSequence.append(image)
end.PerformedSeriesSequence = [series]

statuses = []
asks = [
    lambda: association.send_n_create(begin, ModalityPerformedProcedureStep, step_uid),
    lambda: association.send_n_create(begin, ModalityPerformedProcedureStep, step_uid),
    lambda: association.send_n_set(end, ModalityPerformedProcedureStep, step_uid),
    lambda: association.send_n_set(end, ModalityPerformedProcedureStep, step_uid),
    lambda: association.send_n_create(scheduled, ModalityPerformedProcedureStep, "1.2.99"),
]
part = {"begin": asks[:1], "end": asks[2:4]}.get(os.environ.get("STEP_PART"), asks)
for ask in part:
    status, _ = ask()
    statuses.append(status.Status if status else None)
association.release()
print(json.dumps(statuses))
