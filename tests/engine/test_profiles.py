"""Which execution context takes which shapes and dtypes, without a GPU: nothing here runs."""

from __future__ import annotations

import pytest
import torch

from torch2trt.engine import execution
from torch2trt.engine.execution import CallOptions, ExecutionContext
from torch2trt.engine.loaded import LoadedEngine, TensorInfo
from torch2trt.engine.signature import EngineSignature, TensorSpec
from torch2trt.errors import InputError


class FakeSession:
    def __init__(self, loaded, profile=0):
        self.profile = profile


@pytest.fixture
def context(monkeypatch):
    monkeypatch.setattr(execution, "Session", FakeSession)
    loaded = LoadedEngine.__new__(LoadedEngine)
    loaded.inputs = (TensorInfo(TensorSpec("x", torch.float32, (-1, 3)), host=False, shape_value=False),)
    loaded.profiles = tuple({"x": ((low, 3), (high, 3), (high, 3))} for low, high in ((1, 4), (4, 8), (16, 64)))
    made = ExecutionContext.__new__(ExecutionContext)
    made._loaded, made._session, made._sessions = loaded, None, {}
    made._closed = True  # so that nothing is waited for at the end
    return made


def choose(context, batch):
    context._session = context._session_for([torch.empty(batch, 3)])
    return context._session


def test_each_profile_keeps_a_session_of_its_own(context):
    sessions = [choose(context, batch) for batch in (2, 8, 64, 3, 16)]
    assert [session.profile for session in sessions] == [0, 1, 2, 0, 2]
    assert sessions[3] is sessions[0] and sessions[4] is sessions[2]


def test_the_latest_profile_is_kept_where_several_fit(context):
    assert choose(context, 4).profile == 0
    assert choose(context, 5).profile == 1
    assert choose(context, 4).profile == 1


def test_shapes_between_the_profiles_name_all_of_them(context):
    choose(context, 2)
    with pytest.raises(InputError) as caught:
        choose(context, 10)
    for words in (r"profile 0: input 'x' has shape [10, 3]", "profile 1", "profile 2", "[16 to 64, 3]"):
        assert words in str(caught.value)
    assert context._session.profile == 0


def test_a_dtype_that_tensorrt_lacks_is_cast(context):
    taken = TensorSpec("x", torch.int32, (-1, 3), given=torch.int8)
    context._loaded.inputs = (TensorInfo(taken, host=True, shape_value=False),)
    context._signature = EngineSignature.plain([taken], [TensorSpec("y", torch.int32, (-1, 3))])
    context._options, context._expected = CallOptions(), ((torch.int32, -1),)
    x = torch.tensor([[1, -2, 127]], dtype=torch.int8)
    (found,) = context.check([x])
    assert found.dtype == torch.int32 and found.tolist() == x.tolist()
    assert context.check([found]) == [found]
    with pytest.raises(InputError, match=r"torch\.int16, and the engine takes torch\.int32"):
        context.check([x.short()])
