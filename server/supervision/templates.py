"""What staff knows how to supervise (R-06): for each, what is promised, what staff looks at, in both languages."""

from __future__ import annotations

from server.supervision.desk_views import Template


def _template(id: str, title: tuple[str, str], details: tuple[str, str], evidence: tuple[str, str]) -> Template:
    def words(both: tuple[str, str]) -> dict[str, str]:
        return {"en": both[0], "zh-CN": both[1]}

    return Template(id, words(title), words(details), words(evidence))


TEMPLATES = (
    _template(
        "exercise",
        ("Exercise", "运动"),
        ("I exercise for at least 30 minutes.", "我每次运动至少 30 分钟。"),
        (
            "A picture of the watch or app that shows date, duration and distance.",
            "手表或运动软件的截图，能看到日期、时长和距离。",
        ),
    ),
    _template(
        "reading",
        ("Read", "读书"),
        ("I read at least 20 pages of a book.", "我每次至少读 20 页书。"),
        (
            "A picture of the page I have come to, and three sentences about what I have read.",
            "读到的那一页的照片，再写三句话说说读了什么。",
        ),
    ),
    _template(
        "early",
        ("Get up early", "早起"),
        ("I am up and out of bed by the time that is due.", "我在约定的时间之前起床。"),
        (
            "A picture taken outside the bedroom, sent before the time that is due.",
            "在约定时间之前发来一张在卧室外拍的照片。",
        ),
    ),
    _template(
        "study",
        ("Study", "学习"),
        ("I study for at least 45 minutes without interruption.", "我连续学习至少 45 分钟。"),
        ("A picture of my notes or exercises of that day.", "当天的笔记或习题的照片。"),
    ),
    _template(
        "practice",
        ("Practise an instrument", "练琴"),
        ("I practise for at least 30 minutes.", "我每次练习至少 30 分钟。"),
        ("A recording of one minute of what I have practised.", "一分钟的练习录音或录像。"),
    ),
    _template(
        "deliver",
        ("Finish a piece of work", "按时完成"),
        ("I finish the piece of work that is described, and hand it in.", "我完成约定的作品并交出。"),
        ("The work itself, or the confirmation that it was handed in.", "作品本身，或已提交的凭证。"),
    ),
    _template(
        "smoke_free",
        ("Stay smoke-free", "戒烟"),
        ("I do not smoke all day.", "我一整天不吸烟。"),
        (
            "My word each evening, and an answer to each spot check in time.",
            "每晚报告一次，并按时回应每次抽查。",
        ),
    ),
    _template(
        "screen_time",
        ("Less screen time", "少看手机"),
        ("I stay below the screen time that is named.", "我的屏幕使用时间不超过约定的上限。"),
        ("A picture of the day's screen time on my phone.", "手机上当天屏幕使用时间的截图。"),
    ),
)

BY_ID = {template.id: template for template in TEMPLATES}
