import pytest

from keras_mtl.weighters import AutoLambda, MetaBalance


@pytest.mark.parametrize("cls", [AutoLambda, MetaBalance])
def test_a_main_task_by_name_or_position(cls):
    for primary, position in (("tone", 1), (2, 2)):
        weighter = cls(primary=primary)
        weighter.bind(3, ("class", "tone", "stars"))
        assert weighter.main == position
        assert weighter.get_config()["primary"] == primary


@pytest.mark.parametrize("cls", [AutoLambda, MetaBalance])
def test_no_such_task(cls):
    def message(primary, names):
        with pytest.raises(ValueError) as error:
            cls(primary=primary).bind(2, names)
        return str(error.value)

    assert message("tune", ("tone", "stars")) == (
        "Argument `primary` must be one of the tasks ['tone', 'stars']. "
        "Received: primary='tune'. Did you mean 'tone'?"
    )
    assert message(2, ("tone", "stars")) == (
        "Argument `primary` must be a task's name, or its position below 2. "
        "Received: primary=2"
    )
    assert message("tone", None).startswith("Outside a model tasks have no")
    with pytest.raises(ValueError, match="`primary` must be at least 0"):
        cls(primary=-1)
    with pytest.raises(ValueError, match="`primary` must be an integer"):
        cls(primary=0.5)
    with pytest.raises(ValueError, match="`primary` must be one task: its na"):
        cls(primary=["tone", "stars"])
