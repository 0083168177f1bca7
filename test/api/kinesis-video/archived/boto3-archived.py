# boto3-archived.py ENDPOINT KEY SECRET START END: what a Python user does with archived media; prints
# what came back as JSON.
import json
import sys
from datetime import datetime, timezone

import boto3

client = boto3.client(
    "kinesis-video-archived-media",
    endpoint_url=sys.argv[1],
    region_name="eu-west-3",
    aws_access_key_id=sys.argv[2],
    aws_secret_access_key=sys.argv[3],
)
start, end = (datetime.fromtimestamp(float(text), timezone.utc) for text in sys.argv[4:6])
selector = {
    "FragmentSelectorType": "PRODUCER_TIMESTAMP",
    "TimestampRange": {"StartTimestamp": start, "EndTimestamp": end},
}
numbers = []
for page in client.get_paginator("list_fragments").paginate(
    StreamName="x", FragmentSelector=selector, PaginationConfig={"PageSize": 2}
):
    numbers += [fragment["FragmentNumber"] for fragment in page["Fragments"]]
media = client.get_media_for_fragment_list(StreamName="x", Fragments=numbers)["Payload"].read()
clip = client.get_clip(StreamName="x", ClipFragmentSelector=selector)
images = []
for page in client.get_paginator("get_images").paginate(
    StreamName="x",
    ImageSelectorType="PRODUCER_TIMESTAMP",
    StartTimestamp=start,
    EndTimestamp=end,
    SamplingInterval=3000,
    Format="JPEG",
    FormatConfig={"JPEGQuality": "50"},
    WidthPixels=64,
    HeightPixels=36,
):
    images += page["Images"]
try:
    client.list_fragments(StreamName="none", FragmentSelector=selector)
except client.exceptions.ResourceNotFoundException as error:
    refused = error.response["Error"]["Message"]
print(
    json.dumps(
        {
            "numbers": numbers,
            "documents": media.count(b"\x1a\x45\xdf\xa3"),
            "clip": [clip["ContentType"], clip["Payload"].read()[4:8].decode()],
            "images": len(images),
            "withError": len([image for image in images if "Error" in image]),
            "refused": refused,
        }
    )
)
