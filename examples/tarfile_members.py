"""tarfile: write a compressed tar file, list it, and read one member of it."""

import io
import tarfile

import llmzip

with llmzip.open("mail.tar.llmz", "wb", level=1) as file, tarfile.open(fileobj=file, mode="w|") as tar:
    for number in range(50):
        text = f"From: anna@example.org\nSubject: Letter {number}\n\nIt rained again.\n".encode()
        member = tarfile.TarInfo(f"mail/{number:02}.eml")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))

with llmzip.open("mail.tar.llmz") as file, tarfile.open(fileobj=file) as tar:
    print(len(tar.getnames()), "letters")
    found = tar.extractfile("mail/07.eml")
    assert found is not None
    assert b"Letter 7\n" in found.read()
