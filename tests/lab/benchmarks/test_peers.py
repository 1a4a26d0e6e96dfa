import pytest

from keras_mtl.lab.benchmarks import workloads

pytest.importorskip("torchjd")
peers = pytest.importorskip("keras_mtl.lab.benchmarks.peers")
torch = peers.torch
# A build for CUDA on a machine without.
pytestmark = pytest.mark.filterwarnings("ignore:CUDA init:UserWarning")
LOOP = "torch loop"


@pytest.fixture(scope="module")
def gradients():
    """Gradients of each row's first step, from the same start."""
    work = workloads.mlp(3, 8, widths=(6, 5, 4))
    found = {}
    for label, row in peers.torch_rows(work, 1).items():
        torch.manual_seed(0)
        runner = row()
        # The orders in which gradients meet.
        torch.manual_seed(1)
        runner.run(1)
        parameters = [*runner.encoder.parameters(), *runner.heads.parameters()]
        found[label] = [p.grad.clone() for p in parameters]
    return found


@pytest.mark.parametrize("label", ["torchjd mtl_backward", "torchjd autogram"])
def test_ways_to_one_method_agree(gradients, label):
    for mine, reference in zip(gradients[label], gradients[LOOP], strict=True):
        torch.testing.assert_close(mine, reference, atol=1e-6, rtol=1e-4)


def test_conflicts_change_the_shared_gradient_only(gradients):
    pairs = list(zip(gradients["torch uniform"], gradients[LOOP], strict=True))
    assert any(not torch.equal(a, b) for a, b in pairs[:4])
    assert all(torch.equal(a, b) for a, b in pairs[4:])


@pytest.mark.parametrize("name", ["mmoe", "ple"])
def test_experts_know_whose_their_parameters_are(name):
    """By backward passes: whose loss reaches what."""
    make = getattr(workloads, name)
    work = make(3, 8, widths=(6, 5), num_experts=2)
    row = peers.torch_rows(work, 1)[LOOP]
    torch.manual_seed(0)
    runner = row()
    outputs = runner.encoder(runner.x)
    parameters = list(runner.encoder.parameters())
    reach = {id(parameter): set() for parameter in parameters}
    for index, output in enumerate(outputs):
        found = torch.autograd.grad(
            output.sum(), parameters, retain_graph=True, allow_unused=True
        )
        for parameter, gradient in zip(parameters, found, strict=True):
            if gradient is not None:
                reach[id(parameter)].add(index)
    shared = {id(parameter) for parameter in runner.shared()}
    assert shared == {id(p) for p in parameters if len(reach[id(p)]) > 1}
    for index in range(3):
        own, encoder = runner.own(index), {id(p) for p in parameters}
        for parameter in own:
            if id(parameter) in encoder:
                assert reach[id(parameter)] == {index}
    runner.run(1)
    assert all(parameter.grad is not None for parameter in parameters)
    work.model(work.x[:1])
    assert sum(p.numel() for p in parameters) == (
        work.model.encoder.count_params()
    )
