import io
import tarfile

import pytest


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    # Here: the process that hands out tests reads this file, too.
    from keras_mtl.lab.runs.running import train
    from tests.lab.runs.small_run import SmallExperiment

    out = tmp_path_factory.mktemp("whole") / "run"
    train(SmallExperiment(), out, save_seconds=0.0)
    return out


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """Twenty short reviews of each domain, in two words of judgement."""
    from keras_mtl.lab.datasets.reviews import FILES

    path = tmp_path_factory.mktemp("sentiment") / "fdu_mtl.tar"
    with tarfile.open(path, "w") as tar:
        for name in FILES:
            domain = name.split(".")[0]
            lines = [
                f"{n % 2}\t{domain} {n} was {['awful', 'great'][n % 2]}\n"
                for n in range(20)
            ]
            content = "".join(lines).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
