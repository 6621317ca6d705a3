"""Small wheels that pip accepts, for what is fetched from a package index."""

from __future__ import annotations

import zipfile


def wheel(folder, package, version, members):
    """A wheel of a package, of which pip reads no more than name and version.

    Args:
        folder: Folder of the wheel.
        package: Name of the package, as it is imported.
        version: Its version.
        members: Text or bytes of each file by its path in the wheel.
    """
    path = folder / f"{package}-{version}-py3-none-any.whl"
    about = f"{package}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{about}/RECORD", "")
    return path
