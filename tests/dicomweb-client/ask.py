"""Asks a cloud by the dicomweb-client of PyPI; says what it got as JSON, for the test to judge.

    ask.py BASE_URL TOKEN NEW_FILE
"""

import hashlib
import json
import sys
from io import BytesIO
from urllib.parse import urljoin, urlparse

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient


def main(url, token, new_file):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    client = DICOMwebClient(url=url, session=session)
    found = {}
    studies = client.search_for_studies(search_filters={"PatientID": "4711"})
    found["studies"] = [it["0020000D"]["Value"][0] for it in studies]
    study = found["studies"][0]
    found["by_name"] = len(client.search_for_studies(search_filters={"PatientName": "some*"}))
    found["by_date"] = len(client.search_for_studies(search_filters={"StudyDate": "19990101"}))
    series = client.search_for_series(study)
    found["series"] = [it["0020000E"]["Value"][0] for it in series]
    found["modality"] = series[0]["00080060"]["Value"][0]
    instances = client.search_for_instances(study)
    found["instances"] = [it["00080018"]["Value"][0] for it in instances]
    address = (study, found["series"][0], found["instances"][0])

    data_set = client.retrieve_instance(*address)
    found["patient_name"] = str(data_set.PatientName)
    found["pixels_sha256"] = hashlib.sha256(data_set.PixelData).hexdigest()
    found["whole_study"] = len(client.retrieve_study(study))
    metadata = client.retrieve_instance_metadata(*address)
    as_json = pydicom.Dataset.from_json(metadata, bulk_data_uri_handler=lambda uri: b"")
    found["rows"] = as_json.Rows
    found["eye"] = as_json.ImageLaterality
    # The client sends `Host` without the port, so the address that comes back lacks it too.
    bulk = urljoin(url, urlparse(metadata["7FE00010"]["BulkDataURI"]).path)
    found["bulk_sha256"] = hashlib.sha256(client.retrieve_bulkdata(bulk)[0]).hexdigest()
    frames = client.retrieve_instance_frames(*address, frame_numbers=[2, 4])
    found["frames"] = [[len(frame), frame[0]] for frame in frames]
    rendered = client.retrieve_instance_rendered(*address, media_types=("image/png",))
    found["rendered"] = list(rendered[:4])

    with open(new_file, "rb") as file:
        stored = client.store_instances([pydicom.dcmread(BytesIO(file.read()))])
    found["stored"] = [str(it.ReferencedSOPInstanceUID) for it in stored.ReferencedSOPSequence]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
